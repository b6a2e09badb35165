import pLimit from 'p-limit';
import type { Digest } from './digest.js';
import { StoreError } from './errors.js';
import { readBlob, requireDigest } from './extents.js';
import type { BlobReader } from './types.js';

const READS = 32; // at one time

/**
 * The whole of several blobs, in the order asked for, found in one query. Meant for small ones: all are held in memory.
 * Throws StoreError MISSING_BLOB, and PACK_DAMAGED when one has changed.
 */
export async function readBlobs(blobs: BlobReader, wanted: readonly Digest[]): Promise<Buffer[]> {
  const places = await blobs.locate(wanted);
  const limit = pLimit(READS);
  const read = async (blob: Digest): Promise<Buffer> => {
    const place = places.get(blob);
    if (place === undefined) return readBlob(blobs, blob);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of blobs.readFile(place.path, place.offset, place.size)) chunks.push(chunk);
      return requireDigest(Buffer.concat(chunks), blob, place.path);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'PACK_GONE') throw error;
      return readBlob(blobs, blob); // its pack was rewritten meanwhile
    }
  };
  return Promise.all(wanted.map((blob) => limit(read, blob)));
}
