import { open } from 'node:fs/promises';
import { sha256, type Digest } from '../../../src/store/digest.js';
import { partsOf, type ExtentMap } from '../../../src/store/extents.js';
import type { BlobWriter } from '../../../src/store/types.js';

/** Blobs in memory, and what an extent map of them reads as. */
export class MemoryBlobs implements BlobWriter {
  readonly blobs = new Map<Digest, Buffer>();

  async put(bytes: Buffer): Promise<Digest> {
    const digest = sha256(bytes);
    this.blobs.set(digest, Buffer.from(bytes));
    return digest;
  }

  async putStream(source: AsyncIterable<Buffer>): Promise<{ digest: Digest; size: number }> {
    const chunks: Buffer[] = [];
    for await (const chunk of source) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    return { digest: await this.put(bytes), size: bytes.length };
  }

  async seal(): Promise<void> {
    return Promise.resolve();
  }

  /** A map of one blob. */
  async map(bytes: Buffer): Promise<ExtentMap> {
    const parts =
      bytes.length === 0
        ? []
        : ([{ kind: 'blob', blob: await this.put(bytes), offset: 0, length: bytes.length }] as const);
    return { size: bytes.length, parts };
  }

  read(map: ExtentMap, start: number, end: number): Buffer {
    return Buffer.concat(
      partsOf(map, start, end).map((part) => {
        if (part.kind === 'zero') return Buffer.alloc(part.length);
        if (part.kind === 'inline') return part.bytes;
        return this.blobs.get(part.blob)!.subarray(part.offset, part.offset + part.length);
      }),
    );
  }

  /** Writes what `map` reads as to a new file, zeros as holes. */
  async writeFile(map: ExtentMap, path: string): Promise<void> {
    const file = await open(path, 'wx');
    try {
      let at = 0;
      for (const part of map.parts) {
        if (part.kind === 'inline') await file.write(part.bytes, 0, part.bytes.length, at);
        if (part.kind === 'blob') {
          const blob = this.blobs.get(part.blob)!;
          await file.write(blob, part.offset, part.length, at);
        }
        at += part.kind === 'inline' ? part.bytes.length : part.length;
      }
      await file.truncate(map.size);
    } finally {
      await file.close();
    }
  }
}
