import type { IndexedEntry } from './archive.js';

/** An entry, and where its data begins in the plain bytes of its frame. */
type DataPlace = Pick<IndexedEntry, 'header' | 'tar'> & { readonly dataOffset: number };

/** Bytes [start, end) of what an entry stands in. */
type ReadBytes = (start: number, end: number) => AsyncIterable<Buffer>;

/** Bytes of an entry's data that are in the archive: all, but of a sparse file. */
export function storedSize({ header, tar }: Pick<IndexedEntry, 'header' | 'tar'>): number {
  return tar?.sparse === undefined ? header.size : tar.sparse.reduce((sum, [, length]) => sum + length, 0);
}

/** The data of an entry; of a sparse file what is not stored as zeros, in chunks of their own. */
export function readEntryData(entry: DataPlace, read: ReadBytes): AsyncIterable<Buffer> {
  const { header, tar, dataOffset } = entry;
  return tar?.sparse === undefined
    ? read(dataOffset, dataOffset + header.size)
    : fillHoles(entry, tar.sparse, read);
}

async function* fillHoles(
  { header, dataOffset }: DataPlace,
  runs: NonNullable<NonNullable<IndexedEntry['tar']>['sparse']>,
  read: ReadBytes,
): AsyncGenerator<Buffer> {
  let done = 0;
  let place = dataOffset;
  for (const [offset, length] of runs) {
    yield* zeros(offset - done);
    yield* read(place, place + length);
    place += length;
    done = offset + length;
  }
  yield* zeros(header.size - done);
}

const HOLE = Buffer.alloc(1 << 20);

/** Whether `chunk` is a piece of a hole as readEntryData gives it, or looks like one. */
export const isHole = (chunk: Buffer): boolean =>
  chunk.length <= HOLE.length && chunk.equals(HOLE.subarray(0, chunk.length));

function* zeros(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= HOLE.length) yield HOLE.subarray(0, Math.min(left, HOLE.length));
}
