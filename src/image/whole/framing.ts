import type { ChunkReader } from '../chunks.js';
import { ImageError } from '../errors.js';

/** The compressions whose streams are read whole, by a program. */
export type WholeFormat = 'xz' | 'zstd' | 'lz4' | 'lzo';

/**
 * The bytes of the one compressed stream that begins at `reader`'s position, which is left after it. Only the stream's
 * outline is looked at: its data is for the program to check. Throws ImageError TRUNCATED or BAD_HEADER.
 */
export function streamBytes(format: WholeFormat, reader: ChunkReader): AsyncGenerator<Buffer> {
  return OUTLINES[format](new Source(format, reader));
}

/** All of them. */
export const WHOLE_FORMATS: readonly WholeFormat[] = ['xz', 'zstd', 'lz4', 'lzo'];

type Outline = (source: Source) => AsyncGenerator<Buffer>;

/** Hands on what it takes of a stream. */
class Source {
  readonly #format: WholeFormat;
  readonly #reader: ChunkReader;
  readonly #start: number;

  constructor(format: WholeFormat, reader: ChunkReader) {
    this.#format = format;
    this.#reader = reader;
    this.#start = reader.position;
  }

  get taken(): number {
    return this.#reader.position - this.#start;
  }

  /** The next bytes, not taken; fewer only at the end of the file. */
  ahead(length: number): Promise<Buffer> {
    return this.#reader.peek(length);
  }

  /** The next `length` bytes, which are few. */
  async *exactly(length: number): AsyncGenerator<Buffer, Buffer> {
    const bytes = Buffer.from(await this.#reader.take(length));
    if (bytes.length < length) throw this.#truncated();
    yield bytes;
    return bytes;
  }

  /** Passes over the next `length` bytes. */
  async *body(length: number): AsyncGenerator<Buffer, void> {
    for (let left = length; left > 0;) {
      const chunk = await this.#reader.next();
      if (chunk === undefined) throw this.#truncated();
      this.#reader.giveBack(chunk.subarray(left));
      const bytes = chunk.subarray(0, left);
      left -= bytes.length;
      yield bytes;
    }
  }

  broken(what: string): ImageError {
    return new ImageError(
      'BAD_HEADER',
      `the ${this.#format} stream at offset ${this.#start} ${what} at offset ${this.#reader.position}; the file is damaged, fetch it again`,
    );
  }

  #truncated(): ImageError {
    return new ImageError(
      'TRUNCATED',
      `the ${this.#format} stream at offset ${this.#start} ends at offset ${this.#reader.position} before it is complete; the file is cut short, fetch it again`,
    );
  }
}

/** Bytes of a block's check by its type (the .xz file format 1.1.0, §2.1.1.2). */
const XZ_CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const LZMA2 = 0x21;

async function* xz(source: Source): AsyncGenerator<Buffer> {
  const header = yield* source.exactly(12);
  const check = XZ_CHECK_SIZES[(header[7] ?? 0) & 0x0f] ?? 0;
  for (;;) {
    const size = (await source.ahead(1))[0];
    if (size === 0) break; // the index (§4.1)
    const block = yield* source.exactly(((size ?? 0) + 1) * 4);
    checkXzFilters(source, block);
    const start = source.taken;
    yield* lzma2(source);
    yield* source.exactly((4 - ((source.taken - start) % 4)) % 4);
    yield* source.exactly(check);
  }
  yield* xzIndex(source);
  const footer = yield* source.exactly(12);
  if (footer.toString('latin1', 10) !== 'YZ') throw source.broken('has no footer');
}

/** A block's last filter must be LZMA2, whose chunks can be counted (§3.1, §5.3.1). */
function checkXzFilters(source: Source, block: Buffer): void {
  const flags = block[1] ?? 0;
  let at = 2;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 63 && at < block.length; shift += 7) {
      const byte = block[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  if ((flags & 0x40) !== 0) number();
  if ((flags & 0x80) !== 0) number();
  let id = 0;
  for (let filter = 0; filter <= (flags & 3); filter++) {
    id = number();
    const properties = number();
    at += properties;
  }
  if (id !== LZMA2) throw source.broken('has a block without LZMA2');
}

/** LZMA2 chunks up to their end (xz-embedded's xz_dec_lzma2.c: xz_dec_lzma2_run). */
async function* lzma2(source: Source): AsyncGenerator<Buffer, void> {
  for (;;) {
    const control = (yield* source.exactly(1))[0] ?? 0;
    if (control === 0) return;
    if (control >= 0x80) {
      const sizes = yield* source.exactly(4);
      yield* source.body(sizes.readUInt16BE(2) + 1 + (control >= 0xc0 ? 1 : 0));
    } else if (control <= 2) {
      yield* source.body((yield* source.exactly(2)).readUInt16BE(0) + 1);
    } else throw source.broken('holds an LZMA2 chunk of no known kind');
  }
}

async function* xzIndex(source: Source): AsyncGenerator<Buffer, void> {
  const start = source.taken;
  yield* source.exactly(1);
  const records = yield* xzNumber(source);
  for (let record = 0; record < records; record++) {
    yield* xzNumber(source);
    yield* xzNumber(source);
  }
  yield* source.exactly((4 - ((source.taken - start) % 4)) % 4);
  yield* source.exactly(4); // CRC-32
}

/** A number of up to 63 bits, seven in each byte (§1.2). */
async function* xzNumber(source: Source): AsyncGenerator<Buffer, number> {
  let value = 0;
  for (let shift = 0; shift < 63; shift += 7) {
    const byte = (yield* source.exactly(1))[0] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
  throw source.broken('holds a number of more than 63 bits');
}

/** RFC 8878 §3.1.1: frame header, blocks, checksum. */
async function* zstd(source: Source): AsyncGenerator<Buffer> {
  const descriptor = (yield* source.exactly(5))[4] ?? 0;
  const single = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  yield* source.exactly((single ? 0 : 1) + dictionary + contentSize);
  for (let last = false; !last;) {
    const header = (yield* source.exactly(3)).readUIntLE(0, 3);
    last = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    if (type === 3) throw source.broken('holds a block of a reserved type');
    yield* source.body(type === 1 ? 1 : header >>> 3);
  }
  if ((descriptor & 4) !== 0) yield* source.exactly(4);
}

/** What 8 MiB can grow to at most (lz4.h: LZ4_COMPRESSBOUND); a larger "size" is what follows the stream. */
const LZ4_MAX_BLOCK = 8_388_608 + Math.floor(8_388_608 / 255) + 16;

/** The legacy frame: blocks with their size before each, to the end (lz4_Frame_format.md, "Legacy frame"). */
async function* lz4(source: Source): AsyncGenerator<Buffer> {
  yield* source.exactly(4);
  for (;;) {
    const ahead = await source.ahead(4);
    const size = ahead.length < 4 ? 0 : ahead.readUInt32LE(0);
    if (size === 0 || size > LZ4_MAX_BLOCK) return;
    yield* source.exactly(4);
    yield* source.body(size);
  }
}

const LZO_FLAGS = {
  adler32OfData: 0x1,
  adler32OfStored: 0x2,
  extraField: 0x40,
  crc32OfData: 0x100,
  crc32OfStored: 0x200,
  filter: 0x800,
} as const;

/** lzop's container: a header, then blocks until one of size 0 (the kernel's decompress_unlzo.c: parse_header, unlzo). */
async function* lzo(source: Source): AsyncGenerator<Buffer> {
  const version = (yield* source.exactly(11)).readUInt16BE(9);
  const current = version >= 0x940;
  yield* source.exactly(current ? 4 : 2);
  yield* source.exactly(current ? 2 : 1);
  const flags = (yield* source.exactly(4)).readUInt32BE(0);
  const has = (flag: keyof typeof LZO_FLAGS): boolean => (flags & LZO_FLAGS[flag]) !== 0;
  if (has('filter')) yield* source.exactly(4);
  yield* source.exactly(current ? 12 : 8);
  const name = (yield* source.exactly(1))[0] ?? 0;
  yield* source.exactly(name + 4);
  if (has('extraField')) yield* source.body((yield* source.exactly(4)).readUInt32BE(0) + 4);
  for (;;) {
    const plain = (yield* source.exactly(4)).readUInt32BE(0);
    if (plain === 0) return;
    const stored = (yield* source.exactly(4)).readUInt32BE(0);
    if (stored > plain) throw source.broken('holds a block that is larger than what it stands for');
    yield* source.exactly((has('adler32OfData') ? 4 : 0) + (has('crc32OfData') ? 4 : 0));
    if (stored < plain)
      yield* source.exactly((has('adler32OfStored') ? 4 : 0) + (has('crc32OfStored') ? 4 : 0));
    yield* source.body(stored);
  }
}

const OUTLINES: Readonly<Record<WholeFormat, Outline>> = { xz, zstd, lz4, lzo };
