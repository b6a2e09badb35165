import { ArchiveFeed, type FrameTools, type ReadFrame } from '../archive-feed.js';
import type { ChunkReader } from '../chunks.js';
import { codecOf } from '../codec.js';
import { ImageError } from '../errors.js';
import type { FilterProgram } from '../filter.js';
import { FAST_HEADER } from '../gzip/member.js';
import { spoolFile, type Spool } from '../spool.js';
import { filterThrough } from '../whole/filtering.js';
import { decodeSuperblock, lostOptions, SUPERBLOCK } from './superblock.js';

/**
 * Reads a squashfs, to the end of the file. Its bytes are stored as they are, to be served; what it holds is stored again
 * as segments of a tar archive, to be looked at and edited. Throws ImageError TRUNCATED, BAD_HEADER, UNKNOWN_CODEC,
 * MISSING_TOOL, TOOL_FAILED, TOO_LARGE.
 */
export async function readSquashfsFrame(reader: ChunkReader, tools: FrameTools): Promise<ReadFrame> {
  const head = Buffer.from(await reader.peek(SUPERBLOCK));
  const superblock = decodeSuperblock(head);
  const { size } = superblock;
  const lost = lostOptions(superblock);
  const spool = await spoolFile(restOf(reader), Number.POSITIVE_INFINITY, 'the squashfs');
  try {
    if (spool.size < size) {
      throw new ImageError(
        'TRUNCATED',
        `the squashfs ends after ${spool.size} of its ${size} bytes; the file is cut short, fetch it again`,
      );
    }
    const stored = await tools.writer.putStream(spool.read());
    if (lost.length > 0) {
      tools.note(
        `the squashfs was made with ${lost.join(' ')}; the first change to it makes it again without`,
      );
    }
    const frame = { codec: 'gzip', prologue: FAST_HEADER } as const;
    const feed = new ArchiveFeed(codecOf(frame), tools);
    for await (const chunk of asTar(spool)) {
      tools.growth.add(chunk.length);
      await feed.plain(chunk);
    }
    const whole = { codec: 'squashfs', streams: [{ blob: stored.digest, size: stored.size }], head } as const;
    return { feed, frame: { ...frame, segments: await feed.finish(), whole } };
  } finally {
    await spool.close();
  }
}

/** What a squashfs holds as a tar archive, its root and extended attributes included; a socket, which tar cannot hold, fails. */
async function* asTar({ path }: Spool): AsyncGenerator<Buffer> {
  const program: FilterProgram = {
    program: 'sqfs2tar',
    args: ['--root-becomes', '.', '--no-skip', path],
    package: 'squashfs-tools-ng',
  };
  try {
    yield* filterThrough(program, noInput());
  } catch (error) {
    if (!(error instanceof ImageError) || error.code !== 'TOOL_FAILED') throw error;
    throw new ImageError(
      'TOOL_FAILED',
      `the squashfs is damaged, or holds a socket, which cannot be edited (${error.message}); fetch it again, or make it again without`,
      { cause: error },
    );
  }
}

async function* restOf(reader: ChunkReader): AsyncGenerator<Buffer> {
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) yield chunk;
}

/** Nothing: for programs that read a file and not their standard input. */
export async function* noInput(): AsyncGenerator<Buffer> {
  // ends at once
}
