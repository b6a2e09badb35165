import { sha256, type Digest } from '../store/digest.js';
import type { Family, GenerationInputs } from './types.js';

/**
 * What writes the compressed bytes, and what it makes of a tree: a generation built or imported with another zlib is
 * another generation. Since 3 `.treeinfo` has checksums of what is served.
 */
export const ENGINE = `3/zlib-${process.versions.zlib ?? '?'}`;

/** `value` as JSON with the keys of every object in order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The id of the generation that `inputs` make: the same on every server and at any time. */
export function generationId(family: Family, inputs: GenerationInputs): Digest {
  const { engine, imported, media, layers, edits, packed, repository, settings, epoch } = inputs;
  const archives = Object.entries(packed ?? {}).map(([path, { marks: _marks, ...archive }]) => [
    path,
    archive,
  ]);
  const madeOf = archives.length === 0 ? {} : { packed: Object.fromEntries(archives) as unknown };
  const digests = layers.map((layer) => layer.digest);
  return sha256(
    canonicalJson({
      engine,
      imported,
      family,
      media,
      layers: digests,
      edits,
      ...madeOf,
      ...(repository === undefined ? {} : { repository }),
      settings,
      epoch: epoch ?? null,
    }),
  );
}

/**
 * The digest of media: over the paths and digests of its files, as the vendor shipped them, and what its menus and its
 * disc came to where the media had such (`described`).
 */
export function mediaDigest(
  files: readonly { readonly path: string; readonly sha256: Digest }[],
  described?: unknown,
): Digest {
  const lines = files.map((file) => `${file.path}\0${file.sha256}\n`).sort();
  if (described !== undefined) lines.push(canonicalJson(described));
  return sha256(lines.join(''));
}
