import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { codecOf, type SegmentSum } from '../../image/codec.js';
import { FAST_HEADER } from '../../image/gzip/member.js';

const deflateRaw = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);

/** Bytes that are compressed at a time: that many, however they come, so that the same bytes give the same stream. */
const PIECE = 1 << 20;
/** Pieces being compressed at one time. */
const IN_FLIGHT = 4;
/** So many bytes of a piece tell whether compressing it is of any use; they must shrink to this share. */
const SAMPLE = { bytes: 16 * 1024, share: 0.95 };

const codec = codecOf({ codec: 'gzip', prologue: FAST_HEADER });

/**
 * `source` as a gzip stream, compressed piece by piece on several threads, fast rather than small; what is compressed
 * already is stored as it is.
 */
export async function* gzipStream(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield FAST_HEADER;
  const sums: SegmentSum[] = [];
  const running: Promise<Buffer>[] = [];
  for await (const piece of inPieces(source)) {
    sums.push({ plain: piece.length, check: zlib.crc32(piece) });
    const packed = compress(piece);
    packed.catch(() => undefined); // reported where it is awaited
    running.push(packed);
    const oldest = running.length < IN_FLIGHT ? undefined : running.shift();
    if (oldest !== undefined) yield await oldest;
  }
  for (const packed of running) yield await packed;
  yield codec.epilogue(sums);
}

async function compress(piece: Buffer): Promise<Buffer> {
  const middle = piece.length >> 1;
  const sample = piece.subarray(middle, middle + SAMPLE.bytes);
  const shrunk = await deflateRaw(sample, { level: 1 });
  if (shrunk.length < sample.length * SAMPLE.share) return (await codec.compress(piece)).stored;
  return deflateRaw(piece, { level: 0, finishFlush: zlib.constants.Z_FULL_FLUSH, chunkSize: PIECE + 4096 });
}

async function* inPieces(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafe(PIECE);
  let filled = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const taken = chunk.copy(piece, filled, at);
      at += taken;
      filled += taken;
      if (filled < PIECE) continue;
      yield piece;
      piece = Buffer.allocUnsafe(PIECE);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
