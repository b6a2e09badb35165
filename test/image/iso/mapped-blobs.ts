import { open } from 'node:fs/promises';
import { partsOf, type ExtentMap } from '../../../src/store/extents.js';
import { MemoryBlobs } from '../memory-blobs.js';

/** Blobs in memory, and what an extent map of them reads as at any offset. */
export class MappedBlobs extends MemoryBlobs {
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
        return this.held.get(part.blob)!.subarray(part.offset, part.offset + part.length);
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
          const blob = this.held.get(part.blob)!;
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
