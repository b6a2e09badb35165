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

/** A part of its own after another, which goes on from there and not from an end of the whole (RFC 1951 §3.2.3, BFINAL). */
const NOTHING = Buffer.concat([Buffer.of(0), FLUSHED]);

/** What a stream of pieces has at most: parts, in all and for its bytes; and bytes of one, whose package may be large. */
const FEW = 16;
const SMALL = 1024;
const LARGE = 16 * 1024 * 1024;

const AT_ONCE = 4; // parts decompressed
const CHUNK = 256 * 1024; // bytes; what most pieces have

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number }; // of what was decompressed
}

const inflateRaw = promisify<Buffer, ZlibOptions, Inflated>(
  zlib.inflateRaw as unknown as (
    bytes: Buffer,
    options: ZlibOptions,
    done: (error: Error | null, result: Inflated) => void,
  ) => void,
);

/**
 * The pieces of a gzip stream that was made of pieces, or undefined for any other. A place where a piece seems to end may be
 * chance: only where every part decompresses by itself, and all of them give the CRC-32 and the size at the stream’s end,
 * are they pieces. At most `most` plain bytes, and no more parts than such a stream has: who made it may mean harm.
 */
export async function piecesOf(stream: Buffer, most: number): Promise<readonly Piece[] | undefined> {
  const end = stream.length - END;
  if (end < HEADER.length || !stream.subarray(0, HEADER.length).equals(HEADER)) return undefined;
  const parts: Buffer[] = [];
  for (let at = HEADER.length; at < end;) {
    const found = stream.indexOf(FLUSHED, at);
    if (found < 0 || found + FLUSHED.length > end) return undefined;
    parts.push(stream.subarray(at, found + FLUSHED.length));
    if (parts.length > FEW + stream.length / SMALL) return undefined;
    at = found + FLUSHED.length;
  }
  const pieces: Required<Piece>[] = [];
  let [crc, size] = [0, 0];
  for (let at = 0; at < parts.length; at += AT_ONCE) {
    const left = most - size;
    const inflated = await Promise.all(parts.slice(at, at + AT_ONCE).map((stored) => pieceOf(stored, left)));
    for (const piece of inflated) {
      if (piece === undefined) return undefined;
      crc = combineCrc32(crc, piece.packed.check, piece.plain.length);
      size += piece.plain.length;
      pieces.push(piece);
    }
    if (size > most) return undefined;
  }
  return stream.subarray(end).equals(encodeEnd(crc, size)) ? pieces : undefined;
}

/** A part as a piece of at most `most` plain bytes; undefined where it is none that others can follow. */
async function pieceOf(stored: Buffer, most: number): Promise<Required<Piece> | undefined> {
  try {
    const followed = Buffer.concat([stored, NOTHING]);
    const { buffer, engine } = await inflateRaw(followed, {
      finishFlush: zlib.constants.Z_SYNC_FLUSH,
      chunkSize: Math.min(CHUNK, Math.max(SMALL, 16 * stored.length)),
      maxOutputLength: Math.max(1, Math.min(most, LARGE)),
      info: true,
    });
    if (engine.bytesWritten !== followed.length) return undefined;
    return { plain: buffer, packed: { stored, check: zlib.crc32(buffer) } };
  } catch {
    return undefined;
  }
}

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
