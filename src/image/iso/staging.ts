import { chmodSync, closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf, RackbootError } from '../../errors.js';
import { ImageError } from '../errors.js';

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

/** Why nothing can be laid out in a directory, and the mend. */
const NO_ROOM: Readonly<Record<string, string>> = {
  EFBIG: 'a file cannot be that large there; raise the limit of a file’s size (ulimit -f)',
  ENOSPC: 'no space left; free some there',
  EDQUOT: 'that disk is full for this user; free some there',
};

/**
 * What `body` makes of a new directory in `root`, which is gone afterwards. Throws what it throws, and ImageError NO_ROOM
 * where the file system has none for it.
 */
export async function withScratch<Result>(
  root: string,
  body: (directory: string) => Promise<Result>,
): Promise<Result> {
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(root, 'rackboot-iso-'));
    return await body(directory);
  } catch (error) {
    const reason = error instanceof RackbootError ? undefined : NO_ROOM[codeOf(error) ?? ''];
    if (reason === undefined) throw error;
    throw new ImageError('NO_ROOM', `${root}: the ISO cannot be laid out there: ${reason}`, { cause: error });
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

const FILES_A_TURN = 100;

/**
 * Lays `files` out below `directory`, an existing empty one. Holes take no space. The calls are made at once, some in each
 * turn of the event loop: in memory each takes microseconds, and through the thread pool twenty times as long.
 */
export async function stageTree(directory: string, files: readonly StagedFile[]): Promise<void> {
  const made = new Set<string>();
  for (const [index, file] of files.entries()) {
    if (index % FILES_A_TURN === FILES_A_TURN - 1) await turn();
    const parent = dirname(file.path);
    if (!made.has(parent)) {
      mkdirSync(join(directory, parent), { recursive: true });
      for (let above = parent; above !== '.'; above = dirname(above)) made.add(above);
    }
    stageFile(join(directory, file.path), file);
  }
}

function stageFile(place: string, { size, mode, real }: StagedFile): void {
  const file = openSync(place, 'wx');
  try {
    if (real === undefined) ftruncateSync(file, size);
    else for (let at = 0; at < real.length;) at += writeSync(file, real, at);
  } finally {
    closeSync(file);
  }
  chmodSync(place, mode | 0o400);
}

/** Writes the order of the files' bytes for `--sort-weight-list`: as given, whatever their inodes. */
export async function writeWeights(path: string, files: readonly StagedFile[]): Promise<void> {
  const lines = files.map((file, index) => `${files.length - index} /${file.path}\n`);
  await writeFile(path, lines.join(''));
}
