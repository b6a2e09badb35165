import { ChunkReader, join } from '../chunks.js';
import type { PackedSegment } from '../codec.js';
import { ImageError } from '../errors.js';
import { filterBytes } from '../filter.js';
import { findBlock, SLACK } from './block.js';
import { combineBlocks } from './crc.js';
import { encoder, SMALL_DECODER } from './programs.js';
import { encodeEnd, encodeHeader, takeStreams, type AlignedBlock } from './stream.js';

/** The blocks of the streams in `file`, aligned. Throws as takeStreams. */
export async function blocksOf(file: Buffer): Promise<AlignedBlock[]> {
  const blocks: AlignedBlock[] = [];
  for await (const part of takeStreams(new ChunkReader(once(file)))) {
    if (part.kind === 'block') blocks.push(part);
  }
  return blocks;
}

/** Blocks one after another, as a segment. */
export function packBlocks(blocks: readonly AlignedBlock[]): PackedSegment {
  return { stored: join(blocks.map(({ bytes }) => bytes)), blocks: blocks.map(({ crc }) => crc) };
}

/** `plain` as aligned blocks of up to `level` times 100,000 bytes. */
export async function compressSegment(plain: Buffer, level: number): Promise<PackedSegment> {
  return packBlocks(await blocksOf(await filterBytes(encoder(level), plain)));
}

/** The plain bytes of aligned blocks, at most `maxPlain`. Throws ImageError of any kind when they are damaged. */
export async function decompressBlocks(
  stored: Buffer,
  blocks: readonly number[],
  maxPlain: number,
): Promise<Buffer> {
  const stream = Buffer.concat([encodeHeader(9), stored, encodeEnd(combineBlocks(blocks))]);
  return filterBytes(SMALL_DECODER, stream, maxPlain);
}

/** The plain bytes of a stored segment. Throws ImageError BAD_CHECKSUM when there are not `plain` of them. */
export async function decompressSegment(stored: Buffer, plain: number): Promise<Buffer> {
  // The sum is not known here. It is made of the blocks' own, which the decoder compares with their bytes.
  const bytes = await decompressBlocks(stored, crcsOf(stored), plain).catch((error: unknown) => {
    if (error instanceof ImageError && error.code === 'MISSING_TOOL') throw error;
    throw damaged('does not decompress', error);
  });
  if (bytes.length !== plain) throw damaged(`gives ${bytes.length} bytes instead of ${plain}`);
  return bytes;
}

/** The CRCs of a stored segment's blocks, as their headers say. */
function crcsOf(stored: Buffer): number[] {
  const bytes = Buffer.concat([stored, Buffer.alloc(SLACK)]);
  const limit = stored.length * 8;
  const crcs: number[] = [];
  for (let at = 0; at < limit;) {
    const found = findBlock(bytes, at, limit);
    if (found.kind !== 'block') throw damaged(`does not hold whole blocks (bit ${at})`);
    crcs.push(found.block.crc);
    at = found.block.end;
  }
  return crcs;
}

const damaged = (how: string, cause?: unknown): ImageError =>
  new ImageError('BAD_CHECKSUM', `a stored bzip2 segment ${how}; run: rackboot store verify`, { cause });

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
