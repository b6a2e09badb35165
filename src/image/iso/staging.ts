import { access, constants, mkdir, open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A file of the staged tree: real when xorriso has to read it, else a hole of the same size. */
export interface StagedFile {
  readonly path: string;
  readonly size: number; // bytes
  readonly mode: number; // permission bits
  readonly real?: Buffer;
}

const SHARED_MEMORY = '/dev/shm';

/**
 * Where to stage a tree: in memory if possible, since its thousands of files are holes, and a disk's file system takes
 * half a millisecond to create one.
 */
export async function scratchRoot(): Promise<string> {
  try {
    await access(SHARED_MEMORY, constants.W_OK | constants.X_OK);
    return SHARED_MEMORY;
  } catch {
    return tmpdir();
  }
}

/** Lays `files` out below `directory`, an existing empty one. Holes take no space. */
export async function stageTree(directory: string, files: readonly StagedFile[]): Promise<void> {
  const made = new Set<string>();
  for (const { path, size, mode, real } of files) {
    const place = join(directory, path);
    const parent = dirname(place);
    if (!made.has(parent)) {
      await mkdir(parent, { recursive: true });
      for (let above = dirname(path); above !== '.'; above = dirname(above)) made.add(join(directory, above));
    }
    const file = await open(place, 'wx');
    try {
      if (real === undefined) await file.truncate(size);
      else await file.writeFile(real);
      await file.chmod(mode | 0o400);
    } finally {
      await file.close();
    }
  }
}

/** Writes the order of the files' bytes for `--sort-weight-list`: as given, whatever their inodes. */
export async function writeWeights(path: string, files: readonly StagedFile[]): Promise<void> {
  const lines = files.map((file, index) => `${files.length - index} /${file.path}\n`);
  await writeFile(path, lines.join(''));
}
