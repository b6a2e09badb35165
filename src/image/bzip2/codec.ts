import type { SegmentCodec } from '../codec.js';
import { combineBlocks } from './crc.js';
import { compressSegment, decompressSegment } from './segment.js';
import { encodeEnd, levelOf } from './stream.js';

const BLOCK_UNIT = 100_000; // bytes: what a block of level 1 holds
/** How much of a block new segments fill, since runs of four equal bytes are kept as five. */
const FILL = 0.98;

/**
 * The codec of a stream whose header is `prologue`. Segments are aligned blocks. New ones hold at most 900,000 plain
 * bytes, in as many blocks as the level makes of them.
 */
export function bzip2(prologue: Buffer): SegmentCodec {
  const level = levelOf(prologue) ?? 9;
  const piece = Math.floor(Math.floor(9 / level) * level * BLOCK_UNIT * FILL);
  return {
    name: 'bzip2',
    dialect: `bzip2 -${level}`,
    sizes: { min: piece / 2, max: piece, piece, inside: 'distance' },
    compress: (plain) => compressSegment(plain, level),
    decompress: decompressSegment,
    epilogue: (segments) => encodeEnd(combineBlocks(segments.flatMap(({ blocks }) => blocks ?? []))),
  };
}
