import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { sha256, type Digest } from './digest.js';
import { fileError, StoreError } from './errors.js';
import type { BlobPlace, BlobReader, BlobWriter } from './types.js';

const READ_SIZE = 1 << 20;

/** Blobs in one file of a scratch directory, for what is read once and not kept. What is put can be read at once. */
export class ScratchBlobs implements BlobReader, BlobWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #places = new Map<Digest, BlobPlace>();
  #end = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Blobs in a new file in `directory`; to be closed. Throws StoreError. */
  static async in(directory: string): Promise<ScratchBlobs> {
    const path = join(directory, 'blobs');
    try {
      return new ScratchBlobs(path, await open(path, 'wx+', 0o600));
    } catch (error) {
      throw fileError(error, path);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async put(bytes: Buffer): Promise<Digest> {
    const digest = sha256(bytes);
    if (!this.#places.has(digest)) this.#keep(digest, await this.#append(bytes), bytes.length);
    return digest;
  }

  async putStream(source: AsyncIterable<Buffer>): Promise<{ digest: Digest; size: number }> {
    const hash = createHash('sha256');
    const start = this.#end;
    for await (const chunk of source) {
      hash.update(chunk);
      await this.#append(chunk);
    }
    const digest = hash.digest('hex') as Digest;
    const size = this.#end - start;
    this.#keep(digest, start, size);
    return { digest, size };
  }

  seal(): Promise<void> {
    return Promise.resolve();
  }

  locate(blobs: Iterable<Digest>): Promise<ReadonlyMap<Digest, BlobPlace>> {
    const found = new Map<Digest, BlobPlace>();
    for (const blob of blobs) {
      const place = this.#places.get(blob);
      if (place === undefined)
        return Promise.reject(
          new StoreError('MISSING_BLOB', `${this.#path}: no blob ${blob}; run the command again`),
        );
      found.set(blob, place);
    }
    return Promise.resolve(found);
  }

  async *readFile(path: string, offset: number, length: number): AsyncGenerator<Buffer> {
    for (let done = 0; done < length;) {
      const size = Math.min(READ_SIZE, length - done);
      const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(size), 0, size, offset + done);
      if (bytesRead === 0) throw new StoreError('IO', `${path}: ends early; run the command again`);
      yield buffer.subarray(0, bytesRead);
      done += bytesRead;
    }
  }

  #keep(digest: Digest, offset: number, size: number): void {
    if (!this.#places.has(digest)) this.#places.set(digest, { path: this.#path, offset, size });
  }

  async #append(bytes: Buffer): Promise<number> {
    const offset = this.#end;
    this.#end += bytes.length;
    try {
      await this.#file.appendFile(bytes);
    } catch (error) {
      throw fileError(error, this.#path);
    }
    return offset;
  }
}
