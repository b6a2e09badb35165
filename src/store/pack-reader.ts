import { open } from 'node:fs/promises';
import { codeOf } from '../errors.js';
import type { Digest } from './digest.js';
import { fileError, StoreError } from './errors.js';
import type { FileRun } from './file-run.js';
import type { StoreLayout } from './layout.js';
import type { OpenFiles } from './open-files.js';
import { decodePackFooter, decodePackIndex, entryBytes, footerBytes, type PackEntry } from './pack-format.js';
import type { BlobIndex } from './state/blob-index.js';
import type { BlobPlace, BlobReader, Ownership } from './types.js';

/** Reads blobs out of the packs they lie in. */
export class PackReader implements BlobReader {
  readonly #index: BlobIndex;
  readonly #layout: StoreLayout;
  readonly #files: OpenFiles;

  constructor(index: BlobIndex, layout: StoreLayout, files: OpenFiles) {
    this.#index = index;
    this.#layout = layout;
    this.#files = files;
  }

  async locate(blobs: Iterable<Digest>): Promise<ReadonlyMap<Digest, BlobPlace>> {
    const wanted = new Set(blobs);
    const places = new Map<Digest, BlobPlace>();
    const paths = new Map<string, string>();
    for (const [digest, { pack, offset, size }] of await this.#index.locate(wanted)) {
      let path = paths.get(pack);
      if (path === undefined) paths.set(pack, (path = this.#layout.packPath(pack)));
      places.set(digest, { path, offset, size });
    }
    if (places.size < wanted.size) {
      const missing = [...wanted].find((digest) => !places.has(digest));
      throw new StoreError(
        'MISSING_BLOB',
        `blob ${missing ?? ''} is not in the store; run: rackboot store verify`,
      );
    }
    return places;
  }

  readFile(path: string, offset: number, length: number, ownership?: Ownership): AsyncIterable<Buffer> {
    return this.#files.read(path, offset, length, ownership);
  }

  lendFile(path: string, offset: number, length: number): AsyncIterable<FileRun> {
    return this.#files.lend(path, offset, length);
  }
}

/**
 * What the pack at `path` says it holds, from the file alone. Throws StoreError PACK_GONE, or PACK_DAMAGED when its
 * index is not what was written.
 */
export async function readPackIndex(path: string): Promise<PackEntry[]> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const footer = decodePackFooter(await readAt(file, Math.max(size - footerBytes, 0), footerBytes), size);
      return decodePackIndex(await readAt(file, footer.indexOffset, footer.count * entryBytes), footer);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof StoreError)
      throw new StoreError(error.code, `${path}: ${error.message}`, { cause: error });
    if (codeOf(error) === 'ENOENT')
      throw new StoreError('PACK_GONE', `${path}: is gone; put it back from a backup.`);
    throw fileError(error, path);
  }
}

async function readAt(
  file: Awaited<ReturnType<typeof open>>,
  offset: number,
  length: number,
): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
