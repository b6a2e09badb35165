import { promisify } from 'node:util';
import zlib, { type ZlibOptions } from 'node:zlib';
import { codecOf, type PackedSegment, type SegmentSum } from '../image/codec.js';
import { combineCrc32 } from '../image/gzip/crc32.js';
import { encodeEnd } from '../image/gzip/member.js';

/** A part of a list: its plain bytes, and what they are in a gzip stream whose parts do not depend on each other. */
export interface Piece {
  readonly plain: Buffer;
  readonly packed?: { readonly stored: Buffer; readonly check: number }; // check: CRC-32 of the plain bytes
}

/** The header of a gzip stream that is made of pieces here: no name, no time, Unix (RFC 1952 §2.3). */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);

/** What a full flush ends in (RFC 1951 §3.2.4, an empty stored block). */
const FLUSHED = Buffer.from([0, 0, 0xff, 0xff]);
const END = encodeEnd(0, 0).length; // bytes

const inflateRaw = promisify<Buffer, ZlibOptions, Buffer>(zlib.inflateRaw);

/**
 * The pieces of a gzip stream that was made of pieces, or undefined for any other. A place where a piece seems to end may be
 * chance: only where every part decompresses by itself, and all of them give the CRC-32 and the size at the stream’s end,
 * are they pieces. At most `most` plain bytes.
 */
export async function piecesOf(stream: Buffer, most: number): Promise<readonly Piece[] | undefined> {
  const end = stream.length - END;
  if (end < HEADER.length || !stream.subarray(0, HEADER.length).equals(HEADER)) return undefined;
  const parts: Buffer[] = [];
  for (let at = HEADER.length; at < end;) {
    const found = stream.indexOf(FLUSHED, at);
    if (found < 0 || found + FLUSHED.length > end) return undefined;
    parts.push(stream.subarray(at, found + FLUSHED.length));
    at = found + FLUSHED.length;
  }
  const options = { finishFlush: zlib.constants.Z_SYNC_FLUSH, chunkSize: CHUNK, maxOutputLength: most };
  const plains = await Promise.all(parts.map((stored) => inflateRaw(stored, options))).catch(() => undefined);
  if (plains === undefined) return undefined;
  const pieces: Required<Piece>[] = [];
  let [crc, size] = [0, 0];
  for (const [index, plain] of plains.entries()) {
    const check = zlib.crc32(plain);
    crc = combineCrc32(crc, check, plain.length);
    size += plain.length;
    pieces.push({ plain, packed: { stored: parts[index] ?? Buffer.alloc(0), check } });
  }
  return size <= most && stream.subarray(end).equals(encodeEnd(crc, size)) ? pieces : undefined;
}

const CHUNK = 256 * 1024; // bytes; what most pieces have

/** Pieces that are all read at once, and given as often as they are asked for. */
export class KeptPieces implements AsyncIterable<Piece> {
  readonly #pieces: Promise<readonly Piece[]>;

  constructor(pieces: AsyncIterable<Piece>) {
    this.#pieces = allOf(pieces);
    this.#pieces.catch(() => undefined); // met by whoever asks for them
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Piece> {
    yield* await this.#pieces;
  }
}

async function allOf(source: AsyncIterable<Piece>): Promise<readonly Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of source) pieces.push(piece);
  return pieces;
}

/** Pieces that need not be compressed again, found by their plain bytes; the last ones, since lists keep their order. */
export class KnownPieces {
  readonly #pieces = new Map<string, Piece>();

  /** Passes on what `pieces` gives, and remembers it. */
  async *of(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
    for await (const piece of pieces) {
      if (piece.packed !== undefined) this.#pieces.set(keyOf(piece.packed.check, piece.plain), piece);
      for (const oldest of this.#pieces.keys()) {
        if (this.#pieces.size <= REMEMBERED) break;
        this.#pieces.delete(oldest);
      }
      yield piece;
    }
  }

  /** The stored bytes of these plain ones, whose CRC-32 is `check`. */
  find(plain: Buffer, check: number): Buffer | undefined {
    const known = this.#pieces.get(keyOf(check, plain));
    return known?.plain.equals(plain) === true ? known.packed?.stored : undefined;
  }
}

const REMEMBERED = 32; // pieces

const keyOf = (check: number, plain: Buffer): string => `${check}:${plain.length}`;

const AHEAD = 4; // pieces compressed at one time

/** One gzip stream of pieces, each of which has the plain bytes of one chunk; those that are known are not compressed again. */
export async function* gzipPieces(chunks: AsyncIterable<Buffer>, known: KnownPieces): AsyncGenerator<Buffer> {
  const codec = codecOf({ codec: 'gzip', prologue: HEADER });
  const sums: SegmentSum[] = [];
  const pending: (Promise<PackedSegment> | PackedSegment)[] = [];
  yield HEADER;
  for await (const plain of chunks) {
    const check = zlib.crc32(plain);
    sums.push({ plain: plain.length, check });
    const stored = known.find(plain, check);
    const packed = stored === undefined ? codec.compress(plain) : { stored };
    if (packed instanceof Promise) packed.catch(() => undefined); // met when its turn comes
    pending.push(packed);
    while (pending.length > 0 && (pending.length >= AHEAD || !(pending[0] instanceof Promise)))
      yield (await pending.shift())?.stored ?? Buffer.alloc(0);
  }
  for (const packed of pending) yield (await packed).stored;
  yield codec.epilogue(sums);
}
