import { ImageError } from '../errors.js';
import type { IsoSource } from './source.js';

const MAX_PREFIX = 512 * 1024 * 1024; // bytes: directories of some million files
const INITIAL = 1024 * 1024;

/**
 * The beginning of an image that is still being written: a read waits until the writer has come that far, and the
 * writer is never asked for more than was read.
 */
export class ImagePrefix implements IsoSource {
  /** Not known yet: as far as any ISO 9660 image can reach. */
  readonly size = 2 ** 43;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #ended: () => Promise<ImageError>;
  #bytes = Buffer.alloc(INITIAL);
  #filled = 0;
  #turn: Promise<void> = Promise.resolve();

  /** `ended` tells why when the writer ends before what was asked for. */
  constructor(chunks: AsyncIterable<Buffer>, ended: () => Promise<ImageError>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#ended = ended;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const turn = this.#turn.then(() => this.#fill(offset + length));
    this.#turn = turn.catch(() => undefined);
    await turn;
    return this.#bytes.subarray(offset, offset + length);
  }

  async #fill(end: number): Promise<void> {
    if (end > MAX_PREFIX) {
      throw new ImageError(
        'TOO_LARGE',
        `The image's directories would take more than ${MAX_PREFIX} bytes. Put fewer files into one image.`,
      );
    }
    while (this.#filled < end) {
      const next = await this.#chunks.next();
      if (next.done === true) throw await this.#ended();
      this.#append(next.value);
    }
  }

  #append(chunk: Buffer): void {
    if (this.#filled + chunk.length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#filled + chunk.length));
      this.#bytes.copy(grown, 0, 0, this.#filled);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#filled);
    this.#filled += chunk.length;
  }
}
