import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { sha256, type Digest } from './digest.js';
import { fileError, StoreError } from './errors.js';
import type { BlobPlace, BlobReader, BlobWriter } from './types.js';

const READ_SIZE = 1 << 20;

/** A file that blobs are written into one after another. */
interface BlobFile {
  readonly path: string;
  readonly handle: FileHandle;
  end: number;
}

/**
 * Blobs in two files of a scratch directory, for what is read once and not kept. What is put can be read at once; several
 * may be put at a time.
 */
export class ScratchBlobs implements BlobReader, BlobWriter {
  readonly #pieces: BlobFile;
  readonly #streams: BlobFile; // a stream lies in one piece, so one comes after the other
  readonly #places = new Map<Digest, BlobPlace>();
  #lastStream: Promise<unknown> = Promise.resolve();

  private constructor(pieces: BlobFile, streams: BlobFile) {
    this.#pieces = pieces;
    this.#streams = streams;
  }

  /** Blobs in new files in `directory`; to be closed. Throws StoreError. */
  static async in(directory: string): Promise<ScratchBlobs> {
    const pieces = await openFile(join(directory, 'blobs'));
    try {
      return new ScratchBlobs(pieces, await openFile(join(directory, 'streams')));
    } catch (error) {
      await pieces.handle.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#pieces.handle.close();
    await this.#streams.handle.close();
  }

  async put(bytes: Buffer): Promise<Digest> {
    const digest = sha256(bytes);
    if (!this.#places.has(digest))
      this.#keep(digest, this.#pieces, await append(this.#pieces, bytes), bytes.length);
    return digest;
  }

  putStream(source: AsyncIterable<Buffer>): Promise<{ digest: Digest; size: number }> {
    const stored = this.#lastStream.then(() => this.#putNext(source));
    this.#lastStream = stored.catch(() => undefined);
    return stored;
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
          new StoreError('MISSING_BLOB', `${this.#pieces.path}: no blob ${blob}; run the command again`),
        );
      found.set(blob, place);
    }
    return Promise.resolve(found);
  }

  async *readFile(path: string, offset: number, length: number): AsyncGenerator<Buffer> {
    const { handle } = path === this.#pieces.path ? this.#pieces : this.#streams;
    for (let done = 0; done < length;) {
      const size = Math.min(READ_SIZE, length - done);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, offset + done);
      if (bytesRead === 0) throw new StoreError('IO', `${path}: ends early; run the command again`);
      yield buffer.subarray(0, bytesRead);
      done += bytesRead;
    }
  }

  async #putNext(source: AsyncIterable<Buffer>): Promise<{ digest: Digest; size: number }> {
    const hash = createHash('sha256');
    const start = this.#streams.end;
    for await (const chunk of source) {
      hash.update(chunk);
      await append(this.#streams, chunk);
    }
    const digest = hash.digest('hex') as Digest;
    const size = this.#streams.end - start;
    this.#keep(digest, this.#streams, start, size);
    return { digest, size };
  }

  #keep(digest: Digest, { path }: BlobFile, offset: number, size: number): void {
    if (!this.#places.has(digest)) this.#places.set(digest, { path, offset, size });
  }
}

async function openFile(path: string): Promise<BlobFile> {
  try {
    return { path, handle: await open(path, 'wx+', 0o600), end: 0 };
  } catch (error) {
    throw fileError(error, path);
  }
}

/** Writes `bytes` behind all that was put into the file before; where that is. */
async function append(file: BlobFile, bytes: Buffer): Promise<number> {
  const offset = file.end;
  file.end += bytes.length;
  try {
    for (let done = 0; done < bytes.length;)
      done += (await file.handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
    return offset;
  } catch (error) {
    throw fileError(error, file.path);
  }
}
