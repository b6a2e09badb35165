/** Imports run downwards only: cli → api, pxe → node, osimage → repo, image → store → site → errors. */
const layers = [['cli'], ['api', 'web', 'pxe'], ['node', 'osimage'], ['repo', 'image'], ['store'], ['site']];
const rules = layers.flatMap((names, depth) => {
  const above = layers.slice(0, depth).flat();
  if (above.length === 0) return [];
  return [
    {
      name: `${names.join('+')}-imports-nothing-above`,
      severity: 'error',
      from: { path: `^src/(${names.join('|')})/` },
      to: { path: `^src/(${above.join('|')})/` },
    },
  ];
});

module.exports = {
  forbidden: [
    ...rules,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'image-imports-only-store-types',
      comment: 'bytes in, bytes out: image/ may use only the value types of store/',
      severity: 'error',
      from: { path: '^src/image/' },
      to: { path: '^src/(store|site)/', pathNot: '^src/store/(extents|digest|types)\\.ts$' },
    },
    {
      name: 'sql-only-in-store',
      severity: 'error',
      from: { path: '^src/(?!store/)' },
      to: { path: 'node_modules/(kysely|pg|better-sqlite3)/' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
};
