import { archiveBlobs } from '../image/archive.js';
import { snapshotBlobs } from '../image/layer.js';
import type { Digest } from '../store/digest.js';
import { blobsOf } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import { adHocBlobs } from './ad-hoc.js';
import { readDescriptor, type BuiltArchive } from './build-archives.js';
import { artifactMap, discArtifacts } from './manifest.js';
import type { TakenLayer } from './taken-layers.js';
import type { GenerationManifest } from './types.js';

/** Every blob that a generation needs: what it serves, and what it takes to build on it. */
export async function neededBlobs(
  blobs: BlobReader,
  manifest: GenerationManifest,
  layers: readonly TakenLayer[],
  archives: ReadonlyMap<string, BuiltArchive>,
): Promise<Set<Digest>> {
  const needed = new Set<Digest>();
  const media = manifest.treeChanges?.replaced ?? [];
  for (const artifact of [...manifest.files, ...manifest.tree, ...media, ...discArtifacts(manifest)]) {
    needed.add(artifact.map);
    for (const blob of blobsOf(await artifactMap(blobs, artifact))) needed.add(blob);
  }
  if (manifest.disc?.bios?.bootCode !== undefined) needed.add(manifest.disc.bios.bootCode);
  for (const stored of archives.values()) for (const blob of stored.blobs) needed.add(blob);
  const packed = Object.values(manifest.inputs.packed ?? {}).map(({ descriptor }) => descriptor);
  for (const { marks } of Object.values(manifest.inputs.packed ?? {}))
    if (marks !== undefined) needed.add(marks);
  for (const digest of [...Object.values(manifest.bases), ...packed]) {
    needed.add(digest);
    for (const blob of archiveBlobs(await readDescriptor(blobs, digest))) needed.add(blob);
  }
  for (const { digest, snapshot } of layers) {
    needed.add(digest);
    for (const blob of snapshotBlobs(snapshot)) needed.add(blob);
  }
  for (const blob of await adHocBlobs(manifest.inputs.edits, blobs)) needed.add(blob);
  return needed;
}
