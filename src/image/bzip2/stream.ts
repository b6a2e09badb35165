import type { ChunkReader } from '../chunks.js';
import { ImageError } from '../errors.js';
import { bitsAt } from './bits.js';
import { alignBlock, findBlock, MAX_BLOCK, SLACK } from './block.js';
import { combineBlocks } from './crc.js';
import { END_MAGIC, hasMagic, STREAM_MAGIC } from './magic.js';

/** A block of a stream, as bytes. */
export interface AlignedBlock {
  readonly kind: 'block';
  readonly bytes: Buffer; // alignBlock's
  readonly crc: number; // of its plain bytes, as its header says
  readonly randomised: boolean;
  readonly offset: number; // of the byte of the file that it begins in
}

/** What a bzip2 file is made of: the beginnings of streams, and after each its blocks. */
export type StreamPart = { readonly kind: 'stream'; readonly level: number } | AlignedBlock;

/** Bytes that surely hold a block as compressors write them. */
const USUAL_BLOCK = 1 << 20;
const HEADER = 4; // bytes
const MAGIC = 48; // bits
const CRC = 32; // bits

/** The header of a stream whose blocks hold up to `level` times 100,000 bytes. */
export function encodeHeader(level: number): Buffer {
  return Buffer.concat([STREAM_MAGIC, Buffer.from(String(level))]);
}

/** The bytes that end a stream of aligned blocks whose CRCs combine to `sum`. */
export function encodeEnd(sum: number): Buffer {
  const end = Buffer.alloc(10);
  end.writeUIntBE(END_MAGIC[0], 0, 3);
  end.writeUIntBE(END_MAGIC[1], 3, 3);
  end.writeUInt32BE(sum, 6);
  return end;
}

/** The level that a stream's header names, or undefined when `header` is none. */
export function levelOf(header: Buffer): number | undefined {
  const level = (header[3] ?? 0) - 0x30;
  return header.subarray(0, 3).equals(STREAM_MAGIC) && level >= 1 && level <= 9 ? level : undefined;
}

/**
 * The parts of all bzip2 streams that follow one another from here on; leaves `reader` after the last of them. The
 * CRCs of blocks are not compared with their plain bytes. Throws ImageError BAD_MAGIC, TRUNCATED, or BAD_CHECKSUM.
 */
export async function* takeStreams(reader: ChunkReader): AsyncGenerator<StreamPart> {
  const window = new Window(reader);
  try {
    await window.fill(HEADER);
    if (window.header() === undefined) {
      throw new ImageError('BAD_MAGIC', `no bzip2 header at offset ${window.offset}`);
    }
    for (let level = window.header(); level !== undefined; level = window.header()) {
      yield { kind: 'stream', level };
      window.skip(HEADER * 8);
      let sum = 0;
      for (let block = await takeBlock(window); block !== undefined; block = await takeBlock(window)) {
        sum = combineBlocks([block.crc], sum);
        yield block;
      }
      takeEnd(window, sum);
      await window.fill(HEADER);
    }
  } finally {
    window.giveBack();
  }
}

/** The block that comes next, or undefined when the end of the stream does. */
async function takeBlock(window: Window): Promise<AlignedBlock | undefined> {
  for (const wanted of [USUAL_BLOCK, MAX_BLOCK]) {
    await window.fill(wanted);
    const { bytes, at, limit, offset } = window;
    if (at + MAGIC <= limit && hasMagic(bytes, at, END_MAGIC)) {
      if (at + MAGIC + CRC <= limit) return undefined;
      continue;
    }
    const found = findBlock(bytes, at, limit);
    if (found.kind === 'block') {
      const { block } = found;
      window.skip(block.end - at);
      return {
        kind: 'block',
        bytes: alignBlock(bytes, block),
        crc: block.crc,
        randomised: block.randomised,
        offset,
      };
    }
    if (found.kind === 'damaged') {
      throw new ImageError(
        'BAD_CHECKSUM',
        `the bzip2 data at offset ${offset} is damaged (${found.why}); fetch the file again`,
      );
    }
  }
  throw new ImageError(
    'TRUNCATED',
    `the bzip2 stream ends inside the block at offset ${window.offset}; the file is cut short, fetch it again`,
  );
}

function takeEnd(window: Window, sum: number): void {
  const { bytes, at, offset } = window;
  const stated = ((bitsAt(bytes, at + MAGIC, 16) << 16) | bitsAt(bytes, at + MAGIC + 16, 16)) >>> 0;
  if (stated !== sum) {
    throw new ImageError(
      'BAD_CHECKSUM',
      `the bzip2 stream that ends at offset ${offset} fails its CRC; the file is damaged, fetch it again`,
    );
  }
  window.skip(MAGIC + CRC);
  window.align();
}

/** The part of a file that is looked at, bit by bit. */
class Window {
  bytes = Buffer.alloc(SLACK);
  /** The next bit. */
  at = 0;
  readonly #reader: ChunkReader;
  #length = 0;
  #ended = false;

  constructor(reader: ChunkReader) {
    this.#reader = reader;
  }

  /** The bit after the last that was read. */
  get limit(): number {
    return this.#length * 8;
  }

  /** Of the next bit's byte, in the file. */
  get offset(): number {
    return this.#reader.position - this.#length + (this.at >>> 3);
  }

  /** Reads until `wanted` bytes lie ahead, or the file ends. SLACK zeros follow after what was read. */
  async fill(wanted: number): Promise<void> {
    if (this.#ended || this.#length - (this.at >>> 3) >= wanted) return;
    this.#makeRoom(wanted);
    while (this.#length - (this.at >>> 3) < wanted) {
      const chunk = await this.#reader.next();
      if (chunk === undefined) {
        this.#ended = true;
        return;
      }
      this.#append(chunk);
    }
  }

  skip(bits: number): void {
    this.at += bits;
  }

  align(): void {
    this.at = (this.at + 7) & ~7;
  }

  /** The level of the stream that begins here, or undefined when none does. */
  header(): number | undefined {
    const start = this.at >>> 3;
    return levelOf(this.bytes.subarray(start, Math.min(start + HEADER, this.#length)));
  }

  /** Leaves the reader before the next byte. */
  giveBack(): void {
    this.#reader.giveBack(Buffer.from(this.bytes.subarray(this.at >>> 3, this.#length)));
    this.#length = this.at >>> 3;
  }

  /** Moves what lies ahead to the start of a buffer for `wanted` bytes, and as many again to seldom have to do so. */
  #makeRoom(wanted: number): void {
    const passed = this.at >>> 3;
    if (passed + wanted + SLACK <= this.bytes.length) return;
    const target = this.bytes.length >= 2 * wanted + SLACK ? this.bytes : Buffer.alloc(2 * wanted + SLACK);
    this.bytes.copy(target, 0, passed, this.#length + SLACK);
    this.bytes = target;
    this.#length -= passed;
    this.at -= passed * 8;
  }

  #append(chunk: Buffer): void {
    const taken = chunk.copy(this.bytes, this.#length, 0, this.bytes.length - SLACK - this.#length);
    this.#reader.giveBack(chunk.subarray(taken));
    this.#length += taken;
    this.bytes.fill(0, this.#length, this.#length + SLACK);
  }
}
