import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { collect } from '../../../image/chunks.js';
import { readRange } from '../../../store/extents.js';
import type { BlobReader } from '../../../store/types.js';
import { artifactMap } from '../../manifest.js';
import type { GenerationManifest } from '../../types.js';

/**
 * Where the exlists `files` are: those that this machine does not have, and that came with the osimage, are written to
 * `directory`. Synclists are not looked for so: they name files of this machine, and a stranger may have written them.
 */
export async function withAttachedLists(
  files: readonly string[],
  { attached }: Pick<GenerationManifest, 'attached'>,
  blobs: BlobReader,
  directory: string,
): Promise<string[]> {
  const found: string[] = [];
  for (const file of files) {
    const base = path.posix.basename(file);
    const kept = attached?.files.find((artifact) => artifact.path === base);
    const isHere = await access(file).then(
      () => true,
      () => false,
    );
    if (kept === undefined || isHere) {
      found.push(file);
      continue;
    }
    const map = await artifactMap(blobs, kept);
    const copy = path.join(directory, base);
    await writeFile(copy, await collect(readRange(map, blobs, 0, map.size)));
    found.push(copy);
  }
  return found;
}
