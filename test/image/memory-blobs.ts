import { sha256, type Digest } from '../../src/store/digest.js';
import type { ExtentMap } from '../../src/store/extents.js';
import type { BlobPlace, BlobReader, BlobWriter } from '../../src/store/types.js';

/** Blobs in memory: enough of a store for code that only sees BlobReader and BlobWriter. */
export class MemoryBlobs implements BlobReader, BlobWriter {
  readonly held = new Map<Digest, Buffer>();

  async put(bytes: Buffer): Promise<Digest> {
    const digest = sha256(bytes);
    this.held.set(digest, Buffer.from(bytes));
    return digest;
  }

  async putStream(source: AsyncIterable<Buffer>): Promise<{ digest: Digest; size: number }> {
    const chunks: Buffer[] = [];
    for await (const chunk of source) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    return { digest: await this.put(bytes), size: bytes.length };
  }

  async seal(): Promise<void> {}

  async locate(blobs: Iterable<Digest>): Promise<ReadonlyMap<Digest, BlobPlace>> {
    return new Map(
      [...blobs].map((blob) => [blob, { path: blob, offset: 0, size: this.held.get(blob)!.length }]),
    );
  }

  async *readFile(path: string, offset: number, length: number): AsyncIterable<Buffer> {
    yield this.held.get(path as Digest)!.subarray(offset, offset + length);
  }

  /** The bytes an extent map stands for. */
  materialise(map: ExtentMap): Buffer {
    return Buffer.concat(
      map.parts.map((part) => {
        if (part.kind === 'inline') return part.bytes;
        if (part.kind === 'zero') return Buffer.alloc(part.length);
        return this.held.get(part.blob)!.subarray(part.offset, part.offset + part.length);
      }),
    );
  }
}

/** `bytes` as a stream of chunks of the given sizes, over and over. */
export async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length]!);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
