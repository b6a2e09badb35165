import { createHash } from 'node:crypto';
import { archiveBlobs, archiveMap, encodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import type { Digest } from '../store/digest.js';
import { blobsOf, encodeMap, readRange, type ExtentMap } from '../store/extents.js';
import type { BlobReader, BlobWriter } from '../store/types.js';
import type { DigestAhead } from './digest-ahead.js';
import type { Artifact } from './types.js';

/** An artifact, and every blob it takes to serve it. */
export interface StoredArtifact {
  readonly artifact: Artifact;
  readonly blobs: readonly Digest[];
}

/** The SHA-256 of the bytes that `map` stands for. */
async function mapDigest(map: ExtentMap, blobs: BlobReader): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of readRange(map, blobs, 0, map.size)) hash.update(chunk);
  return hash.digest('hex') as Digest;
}

/** An artifact that is one blob. */
export async function storeBlobArtifact(
  path: string,
  blob: Digest,
  size: number,
  writer: BlobWriter,
): Promise<StoredArtifact> {
  const map: ExtentMap =
    size === 0 ? { size, parts: [] } : { size, parts: [{ kind: 'blob', blob, offset: 0, length: size }] };
  const stored = await writer.put(encodeMap(map));
  return { artifact: { path, size, sha256: blob, map: stored }, blobs: [stored, blob] };
}

/**
 * An archive as an artifact, with its descriptor. The archive's blobs are sealed, so that they can be read back. `ahead`
 * may have begun to hash it.
 */
export async function storeArchiveArtifact(
  path: string,
  descriptor: ArchiveDescriptor,
  writer: BlobWriter,
  blobs: BlobReader,
  ahead?: DigestAhead,
): Promise<StoredArtifact & { readonly descriptor: Digest }> {
  const map = archiveMap(descriptor);
  await writer.seal();
  const [sha256, stored, encoded] = [
    (await ahead?.of(map)) ?? (await mapDigest(map, blobs)),
    await writer.put(encodeMap(map)),
    await writer.put(encodeDescriptor(descriptor)),
  ];
  return {
    artifact: { path, size: map.size, sha256, map: stored },
    descriptor: encoded,
    blobs: [stored, encoded, ...blobsOf(map), ...archiveBlobs(descriptor)],
  };
}
