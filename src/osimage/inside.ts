import { insideOf, type Outside } from '../image/nested/open.js';
import { readRange } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import type { OpenArchive } from './contents.js';
import { artifactMap } from './manifest.js';
import type { Artifact, GenerationManifest } from './types.js';

/** A generation as a place where paths begin: its archive, and where nothing stands there, its other files and tree. */
export function generationOutside(
  manifest: GenerationManifest,
  archive: OpenArchive,
  blobs: BlobReader,
  where: string,
): Outside {
  const inArchive = insideOf({ contents: archive, where });
  return {
    has: (path) => inArchive.has(path),
    file(path) {
      const found = inArchive.file(path);
      if (found !== undefined) return found;
      const wanted = path.replace(/^\/+/, '');
      const artifact = [...manifest.tree, ...manifest.files].find((one) => one.path === wanted);
      if (artifact === undefined) return undefined;
      return { size: artifact.size, where: `${where}:${path}`, read: () => readArtifact(artifact, blobs) };
    },
  };
}

async function* readArtifact(artifact: Artifact, blobs: BlobReader): AsyncGenerator<Buffer> {
  const map = await artifactMap(blobs, artifact);
  yield* readRange(map, blobs, 0, map.size);
}
