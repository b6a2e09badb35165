import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { collect } from '../../../image/chunks.js';
import { readRange } from '../../../store/extents.js';
import type { BlobReader } from '../../../store/types.js';
import { artifactMap } from '../../manifest.js';
import { OsimageError } from '../../errors.js';
import type { Artifact, GenerationManifest } from '../../types.js';

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
    const kept = keptAs(file, attached);
    if (kept === undefined || (await isHere(file))) {
      found.push(file);
      continue;
    }
    const map = await artifactMap(blobs, kept);
    const copy = path.join(directory, kept.path);
    await writeFile(copy, await collect(readRange(map, blobs, 0, map.size)));
    found.push(copy);
  }
  return found;
}

/** Throws OsimageError BAD_SETTING for synclists of the attribute `synclists` that this machine does not have. */
export async function requireSynclists(
  files: readonly string[],
  { attached }: Pick<GenerationManifest, 'attached'>,
): Promise<void> {
  for (const file of files) {
    if (await isHere(file)) continue;
    const why =
      keptAs(file, attached) === undefined
        ? ''
        : ', and the one that came with the osimage is not followed: it names files of another machine';
    throw new OsimageError(
      'BAD_SETTING',
      `synclists: ${file}: no such file here${why}; give --synclist FILE, or --nosyncfiles`,
    );
  }
}

const keptAs = (file: string, attached: GenerationManifest['attached']): Artifact | undefined =>
  attached?.files.find((artifact) => artifact.path === path.posix.basename(file));

const isHere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
