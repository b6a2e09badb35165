/** Imports run downwards only; folders of one row do not import each other either. */
const rows = [
  ['cli'],
  ['demo'],
  ['api'],
  ['web'],
  ['pxe'],
  ['node'],
  ['osimage'],
  ['repo'],
  ['answer'],
  ['image', 'template'],
  ['store'],
  ['site'],
  ['ssh'],
  ['system'],
];
const rules = rows.slice(1).flatMap((names, at) =>
  names.map((name) => {
    const barred = [...rows.slice(0, at + 1).flat(), ...names.filter((other) => other !== name)];
    return {
      name: `${name}-imports-only-below`,
      severity: 'error',
      from: { path: `^src/${name}/` },
      to: { path: `^src/(${barred.join('|')})/` },
    };
  }),
);

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
