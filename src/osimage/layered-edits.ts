import type { ArchiveDescriptor } from '../image/archive.js';
import { loadEntries } from '../image/archive-index.js';
import { collect } from '../image/chunks.js';
import { indexEdits } from '../image/drivers/depmod.js';
import { moduleEdits, type ModuleTarget } from '../image/drivers/driver-set.js';
import { KERNEL_HEAD, kernelRelease } from '../image/drivers/kernel-release.js';
import { holds, kernelsOf } from '../image/drivers/module-tree.js';
import type { Edit } from '../image/edit.js';
import { layerEdits, type LayerSnapshot } from '../image/layer.js';
import { previewArchive } from '../image/preview.js';
import { readRange } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import { artifactMap } from './manifest.js';
import type { Artifact } from './types.js';

/** A layer as a build reads it. */
export interface NamedSnapshot {
  readonly name: string;
  readonly snapshot: LayerSnapshot;
}

/**
 * What `layers` (highest first) change in the archive `base`: lowest first, what each holds, then its kernel modules,
 * placed for the kernels that the image has modules for or boots (`kernels`: their files); at the end the indexes of
 * the modules. Throws ImageError WRONG_KERNEL, and what planEdits and depmod throw.
 */
export async function layeredEdits(
  base: ArchiveDescriptor,
  layers: readonly NamedSnapshot[],
  kernels: readonly Artifact[],
  blobs: BlobReader,
): Promise<Edit[]> {
  const lowestFirst = [...layers].reverse();
  const contents = lowestFirst.map(({ name, snapshot }) => layerEdits(`layer ${name}`, snapshot, blobs));
  if (!layers.some(({ snapshot }) => (snapshot.drivers?.modules.length ?? 0) > 0)) return contents.flat();

  const entries = await loadEntries(base, blobs);
  const preview = (edits: readonly Edit[]): ReturnType<typeof previewArchive> =>
    previewArchive(base, entries, edits, blobs);
  const { tree } = preview(contents.flat());
  const releases = new Set(kernelsOf(tree));
  for (const kernel of kernels) {
    const release = await releaseOf(kernel, blobs);
    if (release !== undefined) releases.add(release);
  }
  const target: ModuleTarget = { kernels: [...releases], holds: (path) => holds(tree, path) };
  const edits = lowestFirst.flatMap(({ name, snapshot }, at) => [
    ...(contents[at] ?? []),
    ...(snapshot.drivers === undefined ? [] : moduleEdits(snapshot.drivers, target, blobs, `layer ${name}`)),
  ]);
  const changed = new Set(
    layers.flatMap(({ snapshot }) => (snapshot.drivers?.modules ?? []).map((m) => m.kernel)),
  );
  const image = preview(edits);
  for (const release of [...releases].sort()) {
    if (changed.has(release)) edits.push(...(await indexEdits(image, release, `depmod for ${release}`)));
  }
  return edits;
}

async function releaseOf(kernel: Artifact, blobs: BlobReader): Promise<string | undefined> {
  const map = await artifactMap(blobs, kernel);
  return kernelRelease(await collect(readRange(map, blobs, 0, Math.min(KERNEL_HEAD, map.size))));
}
