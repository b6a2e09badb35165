import { archiveBlobs, decodeDescriptor } from '../image/archive.js';
import type { Digest } from '../store/digest.js';
import { blobsOf, readBlob } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import type { StoredArtifact } from './artifacts.js';
import { artifactMap } from './manifest.js';
import type { GenerationInputs, GenerationManifest } from './types.js';

/** Whether archives built from `a` and from `b` are the same: only what templates see, or who asked, may differ. */
export function haveSameArchives(a: GenerationInputs, b: GenerationInputs): boolean {
  const contents = ({ settings: _settings, layerSpec: _spec, ...rest }: GenerationInputs): string =>
    JSON.stringify(Object.entries(rest).sort(([x], [y]) => (x < y ? -1 : 1)));
  return contents(a) === contents(b);
}

/** The archive at `path` of `manifest` as it is, without reading its bytes; undefined when it is not there. */
export async function keptArchive(
  manifest: GenerationManifest,
  path: string,
  blobs: BlobReader,
): Promise<(StoredArtifact & { readonly descriptor: Digest }) | undefined> {
  const artifact = manifest.files.find((file) => file.path === path);
  const descriptor = manifest.archives[path];
  if (artifact === undefined || descriptor === undefined) return undefined;
  const map = await artifactMap(blobs, artifact);
  const archive = decodeDescriptor(await readBlob(blobs, descriptor));
  return {
    artifact,
    descriptor,
    blobs: [artifact.map, descriptor, ...blobsOf(map), ...archiveBlobs(archive)],
  };
}
