import { ArchiveFeed, leadingZeros, RUN_ENDS, type FrameTools, type ReadFrame } from '../archive-feed.js';
import type { ChunkReader } from '../chunks.js';
import { codecOf } from '../codec.js';
import { decodeBlocks } from './decode.js';
import { packBlocks } from './segment.js';
import { encodeHeader, takeStreams } from './stream.js';

/**
 * Reads bzip2 streams that follow one another. Their blocks are stored as they are, but for those in which an archive
 * begins or ends. One archive in several streams (pbzip2), with the zeros after it, becomes one stream, which is what the kernel reads.
 * Throws
 * ImageError (TRUNCATED, BAD_MAGIC, BAD_CHECKSUM, MISSING_TOOL, TOO_LARGE), and what reading the archives throws.
 */
export async function* readBzip2Frames(reader: ChunkReader, tools: FrameTools): AsyncGenerator<ReadFrame> {
  let level = 0;
  let feed: ArchiveFeed | undefined;
  let next: number | undefined; // level of a stream that has begun after whole archives
  for await (const part of decodeBlocks(takeStreams(reader))) {
    if (part.kind === 'stream') {
      if (feed?.inside === true) level = Math.max(level, part.level);
      else next = part.level;
      continue;
    }
    if (feed !== undefined && next !== undefined && !part.plain.every(isZeros)) {
      yield await frameOf(feed, level);
      feed = undefined;
    }
    level = feed === undefined ? (next ?? level) : Math.max(level, next ?? level);
    next = undefined;
    feed ??= new ArchiveFeed(codecOf(streamOf(level)), tools, RUN_ENDS);
    for (const { length } of part.plain) tools.growth.add(length);
    // The kernel refuses randomised blocks: what was in them is compressed again.
    await feed.run(part.plain, part.block.randomised ? undefined : packBlocks([part.block]));
  }
  if (feed !== undefined) yield await frameOf(feed, level);
}

const isZeros = (bytes: Buffer): boolean => leadingZeros(bytes) === bytes.length;
const streamOf = (level: number) => ({ codec: 'bzip2', prologue: encodeHeader(level) }) as const;

async function frameOf(feed: ArchiveFeed, level: number): Promise<ReadFrame> {
  return { feed, frame: { ...streamOf(level), segments: await feed.finish() } };
}
