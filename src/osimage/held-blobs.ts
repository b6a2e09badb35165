import { sha256, type Digest } from '../store/digest.js';
import type { ExtentMap, Part } from '../store/extents.js';
import type { BlobWriter } from '../store/types.js';

/** A writer that keeps what is put in memory: for the few megabytes of an ISO's metadata, which belong to no generation. */
export class HeldBlobs implements BlobWriter {
  readonly #held = new Map<Digest, Buffer>();

  put(bytes: Buffer): Promise<Digest> {
    const digest = sha256(bytes);
    this.#held.set(digest, bytes);
    return Promise.resolve(digest);
  }

  async putStream(source: AsyncIterable<Buffer>): Promise<{ digest: Digest; size: number }> {
    const chunks: Buffer[] = [];
    for await (const chunk of source) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    return { digest: await this.put(bytes), size: bytes.length };
  }

  seal(): Promise<void> {
    return Promise.resolve();
  }

  /** `map` with the blobs held here as literal bytes, so that it stands on the store alone. */
  inline(map: ExtentMap): ExtentMap {
    const parts = map.parts.map((part): Part => {
      const bytes = part.kind === 'blob' ? this.#held.get(part.blob) : undefined;
      if (part.kind !== 'blob' || bytes === undefined) return part;
      return { kind: 'inline', bytes: bytes.subarray(part.offset, part.offset + part.length) };
    });
    return { size: map.size, parts };
  }
}
