import type { RepoFiles } from '../../repo/files.js';
import { readRange } from '../../store/extents.js';
import type { BlobReader } from '../../store/types.js';
import { artifactMap } from '../manifest.js';
import type { Artifact } from '../types.js';

/** The files of an install tree below `prefix` (empty, or ending in a slash), as a repository is read. */
export function artifactFiles(
  tree: readonly Artifact[],
  prefix: string,
  blobs: BlobReader,
  where: string,
): RepoFiles {
  const byPath = new Map(tree.map((artifact) => [artifact.path, artifact]));
  return {
    where,
    async read(href) {
      const artifact = byPath.get(prefix + href);
      if (artifact === undefined) return undefined;
      const map = await artifactMap(blobs, artifact);
      return readRange(map, blobs, 0, map.size);
    },
  };
}
