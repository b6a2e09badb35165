import { decodeMap, readBlob, type ExtentMap } from '../store/extents.js';
import { readBlobs } from '../store/read-blobs.js';
import type { GenerationRecord } from '../store/records.js';
import type { BlobReader } from '../store/types.js';
import { OsimageError } from './errors.js';
import { keepsMediaPaths } from './family/layout.js';
import type { Artifact, GenerationManifest } from './types.js';

/** The manifest of a stored generation. Throws OsimageError BAD_MANIFEST for a version this release does not know. */
export function manifestOf(
  record: Pick<GenerationRecord, 'osimage' | 'id' | 'manifest'>,
): GenerationManifest {
  const manifest = JSON.parse(record.manifest) as GenerationManifest;
  if (manifest.version !== 1) {
    throw new OsimageError(
      'BAD_MANIFEST',
      `${record.osimage}@${shortId(record.id)}: a manifest of version ${String(manifest.version)}; a newer rackboot wrote it, upgrade this one`,
    );
  }
  return manifest;
}

/** Where an artifact's bytes lie. */
export async function artifactMap(blobs: BlobReader, artifact: Artifact): Promise<ExtentMap> {
  return decodeMap(await readBlob(blobs, artifact.map));
}

/** Where the bytes of several artifacts lie, in their order; thousands take little longer than one. */
export async function artifactMaps(blobs: BlobReader, artifacts: readonly Artifact[]): Promise<ExtentMap[]> {
  const encoded = await readBlobs(
    blobs,
    artifacts.map(({ map }) => map),
  );
  return encoded.map(decodeMap);
}

/** The install tree as it is served: with boot files and archives where they keep the paths that they have on the media. */
export function servedTree({
  family,
  files,
  tree,
}: Pick<GenerationManifest, 'family' | 'files' | 'tree'>): readonly Artifact[] {
  return keepsMediaPaths(family) ? [...tree, ...files] : tree;
}

/** What a generation has and does not serve: the loaders that its ISO takes from the media, and what it came with. */
export function discArtifacts({ disc, attached }: GenerationManifest): readonly Artifact[] {
  const loaders = [disc?.bios, disc?.uefi].flatMap((loader) => (loader === undefined ? [] : [loader.image]));
  return [...loaders, ...(attached?.files ?? [])];
}

/** A generation's id as people read and type it: its first 12 digits. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
