import type { FileHandle } from 'node:fs/promises';
import { ImageError } from '../errors.js';

/** Random access to an image's bytes. */
export interface IsoSource {
  readonly size: number; // bytes
  /** Exactly `length` bytes from `offset`; callers stay within [0, size]. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** A run of bytes of the image, from `offset`. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A run of a file's bytes: from `offset` of the image; or zeros that are not recorded, where that is null. */
export interface FileExtent {
  readonly offset: number | null;
  readonly length: number;
}

const CHUNK = 1024 * 1024;

/** An image held in memory. */
export function bufferSource(image: Buffer): IsoSource {
  return {
    size: image.length,
    read: async (offset, length) => image.subarray(offset, offset + length),
  };
}

/** An image in an open file of `size` bytes. Throws TRUNCATED when the file has become shorter. */
export function fileSource(file: FileHandle, size: number): IsoSource {
  return {
    size,
    async read(offset, length) {
      const buffer = Buffer.alloc(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
        if (bytesRead === 0) {
          throw new ImageError(
            'TRUNCATED',
            `The image ends at byte ${offset + filled}, although it was ${size} bytes long when opened. Read it again once it is complete.`,
          );
        }
        filled += bytesRead;
      }
      return buffer;
    },
  };
}

/** An image composed on the fly: `stream(start, end)` yields bytes [start, end), as readRange of an extent map does. */
export function streamSource(
  size: number,
  stream: (start: number, end: number) => AsyncIterable<Buffer>,
): IsoSource {
  return {
    size,
    async read(offset, length) {
      if (length === 0) return Buffer.alloc(0);
      const chunks: Buffer[] = [];
      for await (const chunk of stream(offset, offset + length)) chunks.push(chunk);
      return Buffer.concat(chunks, length);
    },
  };
}

/** The bytes of `ranges`, in order, in buffers of at most 1 MiB. */
export async function* readRanges(source: IsoSource, ranges: readonly FileExtent[]): AsyncGenerator<Buffer> {
  for (const { offset, length } of ranges) {
    for (let at = 0; at < length; at += CHUNK) {
      const size = Math.min(CHUNK, length - at);
      yield offset === null ? Buffer.alloc(size) : await source.read(offset + at, size);
    }
  }
}

/**
 * Reads metadata from a source that cannot be trusted: everything outside the image is TRUNCATED, and once all reads
 * together exceed `allowance` bytes the image is BAD_ISO. The last windows read are kept, since records are small.
 */
export class MetadataReader {
  static readonly #WINDOW = 64 * 1024;
  static readonly #KEPT = 16;
  readonly #windows = new Map<number, Buffer>();
  readonly #source: IsoSource;
  #allowance: number;

  constructor(source: IsoSource, allowance: number) {
    this.#source = source;
    this.#allowance = allowance;
  }

  get size(): number {
    return this.#source.size;
  }

  /** Bytes [offset, offset+length) for `what`, which the error names. */
  async read(what: string, offset: number, length: number): Promise<Buffer> {
    if (offset + length > this.#source.size) {
      throw new ImageError(
        'TRUNCATED',
        `${what} ends at byte ${offset + length} of the image, which has only ${this.#source.size}. Copy the image again, completely.`,
      );
    }
    this.#allowance -= length;
    if (this.#allowance < 0) {
      throw new ImageError(
        'BAD_ISO',
        `${what}: the directories together are larger than the image, so they overlap or repeat. The image is damaged or hostile.`,
      );
    }
    const parts: Buffer[] = [];
    for (let at = offset; at < offset + length;) {
      const start = at - (at % MetadataReader.#WINDOW);
      const end = Math.min(start + MetadataReader.#WINDOW, offset + length);
      const window = await this.#window(start, end);
      parts.push(window.subarray(at - start, end - start));
      at = end;
    }
    const only = parts[0];
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, length);
  }

  /** The window at `start`, filled at least up to `end`: only as far as asked, since a source may still be growing. */
  async #window(start: number, end: number): Promise<Buffer> {
    const kept = this.#windows.get(start);
    if (kept !== undefined && start + kept.length >= end) return kept;
    const filledTo = start + (kept?.length ?? 0);
    const fetched = await this.#source.read(filledTo, end - filledTo);
    const window = kept === undefined ? fetched : Buffer.concat([kept, fetched]);
    this.#windows.delete(start);
    this.#windows.set(start, window);
    if (this.#windows.size > MetadataReader.#KEPT) {
      for (const oldest of this.#windows.keys()) {
        this.#windows.delete(oldest);
        break;
      }
    }
    return window;
  }
}
