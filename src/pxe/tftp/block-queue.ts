import { PxeError } from '../errors.js';
import type { TftpFile } from './files.js';
import { toNetascii } from './netascii.js';
import { DATA_HEADER, type TftpMode, writeDataHeader } from './packet.js';

/** The bytes of `file` as they travel, in pieces of about `piece` bytes. Throws PxeError SHORT_FILE when it ends early. */
export async function* readPieces(
  file: TftpFile,
  mode: TftpMode,
  piece: number,
): AsyncGenerator<Buffer, void, void> {
  let at = 0;
  while (at < file.size) {
    const end = Math.min(at + piece, file.size);
    for await (const bytes of file.read(at, end)) {
      at += bytes.length;
      yield mode === 'netascii' ? toNetascii(bytes) : bytes;
    }
    if (at !== end) throw new PxeError('SHORT_FILE', `the file gave ${at} bytes where ${end} were expected.`);
  }
}

/** The DATA packets of one transfer, made from pieces as they come. Blocks are numbered 1, 2, 3 … without wrapping. */
export class BlockQueue {
  readonly #pieces: AsyncIterator<Buffer, void, void>;
  readonly #blksize: number;
  #packets: Buffer[] = [];
  #first = 1; // the block of #packets[0]
  #released = 0;
  #rest: Buffer = Buffer.alloc(0); // less than a block, not yet in a packet
  #ended = false;

  constructor(pieces: AsyncIterator<Buffer, void, void>, blksize: number) {
    this.#pieces = pieces;
    this.#blksize = blksize;
  }

  /** The last block there is a packet for. */
  get last(): number {
    return this.#first + this.#packets.length - 1;
  }

  /** Whether `last` is the file's last block. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The DATA packet of `block`, or undefined when it is not there. */
  packet(block: number): Buffer | undefined {
    return this.#packets[block - this.#first];
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
      this.#cut(this.#rest, 1);
      this.#ended = true;
      return;
    }
    const bytes = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    const blocks = Math.floor(bytes.length / this.#blksize);
    this.#cut(bytes, blocks);
    this.#rest = bytes.subarray(blocks * this.#blksize);
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /** Appends `count` packets from the start of `bytes`, the last one perhaps short. They share one allocation. */
  #cut(bytes: Buffer, count: number): void {
    const slab = Buffer.allocUnsafeSlow(count * DATA_HEADER + Math.min(bytes.length, count * this.#blksize));
    let at = 0;
    for (let index = 0; index < count; index += 1) {
      const from = index * this.#blksize;
      writeDataHeader(slab, at, this.last + 1);
      const length = bytes.copy(slab, at + DATA_HEADER, from, from + this.#blksize);
      this.#packets.push(slab.subarray(at, at + DATA_HEADER + length));
      at += DATA_HEADER + length;
    }
  }

  #compact(): void {
    const count = this.#released - this.#first + 1;
    if (count <= 0) return;
    this.#packets = this.#packets.slice(count);
    this.#first += count;
  }
}
