import { availableParallelism } from 'node:os';
import { collect } from '../chunks.js';
import type { FilterProgram } from '../filter.js';
import { spoolOutput } from '../spool.js';
import { filterThrough } from '../whole/filtering.js';
import { decodeSuperblock, tar2sqfsOptions } from './superblock.js';

/**
 * The tar archive `tar` as a squashfs, made as the one that begins with `head` was; the same bytes give the same
 * squashfs. Of the programs that make one of a tar archive, tar2sqfs alone keeps the root directory's owner and time
 * and takes the compressor's options. Throws ImageError MISSING_TOOL, TOOL_FAILED.
 */
export async function* writeSquashfs(tar: AsyncIterable<Buffer>, head: Buffer): AsyncGenerator<Buffer> {
  const options = ['--quiet', '--no-skip', '--num-jobs', String(availableParallelism())];
  const spool = await spoolOutput(async (path) => {
    const program: FilterProgram = {
      program: 'tar2sqfs',
      args: [...options, ...tar2sqfsOptions(decodeSuperblock(head)), path],
      package: 'squashfs-tools-ng',
    };
    await collect(filterThrough(program, tar));
  });
  try {
    yield* spool.read();
  } finally {
    await spool.close();
  }
}
