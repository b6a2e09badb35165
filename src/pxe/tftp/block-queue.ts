import { PxeError } from '../errors.js';
import type { TftpFile } from './files.js';
import { toNetascii } from './netascii.js';
import { DATA_HEADER, type TftpMode, writeDataHeader } from './packet.js';

/**
 * The bytes of `file` as they travel, in pieces of at most `piece` bytes (netascii: before conversion), each valid until
 * the next is asked for. Throws PxeError SHORT_FILE when it ends early.
 */
export async function* readPieces(
  file: TftpFile,
  mode: TftpMode,
  piece: number,
): AsyncGenerator<Buffer, void, void> {
  let read = 0;
  for await (const bytes of file.read(0, file.size)) {
    for (let at = 0; at < bytes.length; at += piece) {
      const part = bytes.subarray(at, at + piece);
      yield mode === 'netascii' ? toNetascii(part) : part;
    }
    read += bytes.length;
  }
  if (read !== file.size)
    throw new PxeError('SHORT_FILE', `the file gave ${read} bytes where ${file.size} were expected.`);
}

/** DATA packets behind one another: all as long as a block and its header, but for the file's last one. */
interface Slab {
  readonly first: number; // block
  readonly last: number;
  readonly bytes: Buffer;
}

/** The DATA packets of one transfer, made from pieces as they come. Blocks are numbered 1, 2, 3 … without wrapping. */
export class BlockQueue {
  readonly #pieces: AsyncIterator<Buffer, void, void>;
  readonly #blksize: number;
  #slabs: Slab[] = []; // in order, without gaps
  #spare: Buffer | undefined; // of a slab that was released
  #last = 0;
  #released = 0;
  #rest: Buffer = Buffer.alloc(0); // less than a block, not yet in a packet
  #ended = false;

  constructor(pieces: AsyncIterator<Buffer, void, void>, blksize: number) {
    this.#pieces = pieces;
    this.#blksize = blksize;
  }

  /** The size of every packet but the file's last one, in bytes. */
  get packetSize(): number {
    return DATA_HEADER + this.#blksize;
  }

  /** The last block there is a packet for. */
  get last(): number {
    return this.#last;
  }

  /** Whether `last` is the file's last block. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The packets of blocks `first` to `last`, as far as they are there, in as few runs as they lie in memory. */
  runs(first: number, last: number): Buffer[] {
    const size = this.packetSize;
    return this.#slabs
      .filter((slab) => slab.first <= last && slab.last >= first)
      .map((slab) =>
        slab.bytes.subarray(Math.max(0, first - slab.first) * size, (last - slab.first + 1) * size),
      );
  }

  /** Blocks up to and including `block` are not asked for again. Their memory goes at the next `fill`. */
  release(block: number): void {
    this.#released = Math.max(this.#released, block);
  }

  /** Reads one more piece. A file whose length is a multiple of the block size ends in an empty block (RFC 1350 §6). */
  async fill(): Promise<void> {
    if (this.#ended) return;
    const next = await this.#pieces.next();
    this.#compact();
    if (next.done === true) {
      this.#cut(Buffer.alloc(0), 1);
      this.#ended = true;
      return;
    }
    const bytes = next.value;
    const whole = this.#rest.length + bytes.length;
    const blocks = Math.floor(whole / this.#blksize);
    if (blocks === 0) {
      this.#rest = Buffer.concat([this.#rest, bytes]);
      return;
    }
    this.#cut(bytes, blocks);
    // A copy: the piece is not ours to keep.
    this.#rest = Buffer.from(bytes.subarray(bytes.length - (whole - blocks * this.#blksize)));
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /**
   * Appends `count` packets of what was left and `bytes`, the last one perhaps short. They share one allocation, which
   * was another slab's before where it fits: a packet that still waits to be sent from there is another whole packet then.
   */
  #cut(bytes: Buffer, count: number): void {
    const rest = this.#rest;
    const blksize = this.#blksize;
    const length = Math.min(rest.length + bytes.length, count * blksize);
    const slab = this.#take(count * DATA_HEADER + length, length === count * blksize);
    let at = 0;
    for (let index = 0; index < count; index += 1) {
      writeDataHeader(slab, at, this.#last + 1 + index);
      const left = index === 0 ? rest.copy(slab, at + DATA_HEADER) : 0;
      const from = index === 0 ? 0 : index * blksize - rest.length;
      const taken = left + bytes.copy(slab, at + DATA_HEADER + left, from, from + blksize - left);
      at += DATA_HEADER + taken;
    }
    this.#slabs.push({ first: this.#last + 1, last: this.#last + count, bytes: slab });
    this.#last += count;
  }

  #take(size: number, areWhole: boolean): Buffer {
    const spare = this.#spare;
    this.#spare = undefined;
    return areWhole && spare?.length === size ? spare : Buffer.allocUnsafeSlow(size);
  }

  #compact(): void {
    this.#spare = this.#slabs.find(({ last }) => last <= this.#released)?.bytes ?? this.#spare;
    this.#slabs = this.#slabs.filter(({ last }) => last > this.#released);
  }
}
