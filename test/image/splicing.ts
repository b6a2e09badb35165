import { archiveMap, type ArchiveDescriptor } from '../../src/image/archive.js';
import { codecOf } from '../../src/image/codec.js';
import { pathFromText } from '../../src/image/cpio/path.js';
import { contentOf, type Edit } from '../../src/image/edit.js';
import { readArchive } from '../../src/image/read-archive.js';
import { zeroCounts, type SegmentCounts } from '../../src/image/segment-writer.js';
import { spliceArchive } from '../../src/image/splice.js';
import { EDIT_TIME, FILE } from './archive-models.js';
import { inChunks, type MemoryBlobs } from './memory-blobs.js';

/** Reads an archive file into `blobs`. */
export const read = (file: Buffer, blobs: MemoryBlobs): Promise<ArchiveDescriptor> =>
  readArchive(inChunks(file, [65536]), blobs, zeroCounts());

/** The archive after `edits`. */
export async function splice(
  base: ArchiveDescriptor,
  edits: readonly Edit[],
  blobs: MemoryBlobs,
  earlier: readonly ArchiveDescriptor[] = [],
  counts: SegmentCounts = zeroCounts(),
): Promise<ArchiveDescriptor> {
  return spliceArchive(base, edits, { blobs, writer: blobs, counts, mtime: EDIT_TIME, earlier });
}

/** An archive's file. */
export const fileOf = (descriptor: ArchiveDescriptor, blobs: MemoryBlobs): Buffer =>
  blobs.materialise(archiveMap(descriptor));

/** The plain bytes of each frame. */
export async function plainOf(descriptor: ArchiveDescriptor, blobs: MemoryBlobs): Promise<Buffer[]> {
  return Promise.all(
    descriptor.frames.map(async (frame) => {
      const parts = frame.segments.map(({ blob, plain }) =>
        codecOf(frame).decompress(blobs.held.get(blob)!, plain),
      );
      return Buffer.concat(await Promise.all(parts));
    }),
  );
}

/** An edit that puts a file owned by root. */
export const put = (path: string, data: Buffer | string, mode = FILE | 0o644): Edit => ({
  op: 'put',
  path: pathFromText(path),
  mode,
  uid: 0,
  gid: 0,
  content: contentOf(Buffer.from(data)),
  from: 'test',
});
/** An edit that deletes what must be there. */
export const remove = (path: string): Edit => ({
  op: 'delete',
  path: pathFromText(path),
  required: true,
  from: 'test',
});
/** An edit of permissions. */
export const chmod = (path: string, mode: number): Edit => ({
  op: 'chmod',
  path: pathFromText(path),
  mode,
  from: 'test',
});
