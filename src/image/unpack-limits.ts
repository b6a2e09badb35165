import type { ChunkReader } from './chunks.js';
import { ImageError } from './errors.js';

/** How much an archive may grow when it is unpacked, against decompression bombs. */
export interface UnpackLimits {
  readonly maxRatio: number; // plain bytes for each byte of input …
  readonly ratioFloor: number; // … once the plain bytes exceed this
  readonly maxSize: number; // plain bytes in all
  readonly maxEntries: number; // files of all kinds
}

/**
 * Deflate's own best is 1032:1, an installer's 4:1; below 1 GiB nobody minds, and no node has 64 GiB for an initrd. A
 * whole distribution has half a million files; reading millions takes little memory, but editing them a gigabyte each.
 */
export const DEFAULT_LIMITS: UnpackLimits = {
  maxRatio: 200,
  ratioFloor: 2 ** 30,
  maxSize: 64 * 2 ** 30,
  maxEntries: 2_000_000,
};

/** Watches how much the plain bytes outgrow the bytes read, and how many entries there are. */
export class Growth {
  readonly #reader: ChunkReader;
  readonly #limits: UnpackLimits;
  #plain = 0;
  #entries = 0;

  constructor(reader: ChunkReader, limits: UnpackLimits) {
    this.#reader = reader;
    this.#limits = limits;
  }

  /** Counts `length` plain bytes more. Throws ImageError TOO_LARGE. */
  add(length: number): void {
    const { maxRatio, ratioFloor, maxSize } = this.#limits;
    this.#plain += length;
    if (this.#plain > maxSize) throw this.#tooLarge(`${maxSize} bytes`, '--max-unpacked');
    if (this.#plain > ratioFloor && this.#plain > maxRatio * this.#reader.position) {
      throw this.#tooLarge(`${maxRatio} times its size`, '--max-growth');
    }
  }

  /** Counts an entry. Throws ImageError TOO_LARGE. */
  addEntry(): void {
    const { maxEntries } = this.#limits;
    if (++this.#entries <= maxEntries) return;
    throw new ImageError(
      'TOO_LARGE',
      `the archive holds more than ${maxEntries} entries, at offset ${this.#reader.position}; if this machine has the memory to edit them, about 1 KiB each, raise the limit with --max-entries`,
    );
  }

  #tooLarge(limit: string, flag: string): ImageError {
    return new ImageError(
      'TOO_LARGE',
      `the archive unpacks to more than ${limit}, at offset ${this.#reader.position}: a decompression bomb? If you trust it, raise the limit with ${flag}`,
    );
  }
}
