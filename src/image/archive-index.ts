import type { Digest } from '../store/digest.js';
import { requireDigest } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import { decodeIndex, type ArchiveDescriptor, type Frame, type IndexedEntry } from './archive.js';
import { collect } from './chunks.js';
import { codecOf } from './codec.js';
import { readEntryData, storedSize } from './entry-data.js';
import { canonicalPath, type ArchivePath } from './cpio/path.js';
import { paddingOf } from './tar/header.js';
import { joinLinks } from './tar/links.js';
import { HEADER_SIZE, isDirectory, padding4, S_IFMT } from './cpio/header.js';

/** An entry and its place in an archive file. Offsets count from the first plain byte of its frame. */
export interface PlacedEntry extends IndexedEntry {
  readonly path: ArchivePath;
  readonly frame: number;
  readonly archive: number; // counted by trailers, over the whole file: inode numbers mean something within one
  readonly segment: number; // where its header lies
  readonly offset: number; // of the header
  readonly dataOffset: number;
  readonly end: number; // past the padding of the data
}

/** The bytes of each of `blobs`, which are known to be small. */
export async function readBlobs(reader: BlobReader, blobs: Iterable<Digest>): Promise<Map<Digest, Buffer>> {
  const result = new Map<Digest, Buffer>();
  for (const [digest, place] of await reader.locate(new Set(blobs))) {
    const bytes = await collect(reader.readFile(place.path, place.offset, place.size));
    result.set(digest, requireDigest(bytes, digest, place.path));
  }
  return result;
}

/** Every entry of an archive, in archive order. */
export async function loadEntries({ frames }: ArchiveDescriptor, reader: BlobReader): Promise<PlacedEntry[]> {
  const wanted = frames.flatMap((frame) =>
    frame.segments.flatMap(({ index }) => (index === null ? [] : [index])),
  );
  const indexes = await readBlobs(reader, wanted);
  const entries: PlacedEntry[] = [];
  let archive = 0;
  frames.forEach((frame, frameNumber) => {
    let base = 0;
    frame.segments.forEach((segment, segmentNumber) => {
      const index = segment.index === null ? undefined : indexes.get(segment.index);
      for (const entry of index === undefined ? [] : decodeIndex(index)) {
        const offset = base + entry.at;
        const dataOffset = offset + headSize(entry);
        entries.push({
          ...entry,
          path: canonicalPath(entry.rawName),
          frame: frameNumber,
          archive,
          segment: segmentNumber,
          offset,
          dataOffset,
          end: dataOffset + storedSize(entry) + paddingAfter(entry),
        });
      }
      base += segment.plain;
      if (segment.kind === 'tail') archive++;
    });
  });
  return frames.some(({ format }) => format === 'tar') ? joinLinks(entries) : entries;
}

/** Bytes of an entry before its data. */
function headSize({ header, tar }: IndexedEntry): number {
  if (tar !== undefined) return tar.head;
  const head = HEADER_SIZE + header.nameSize;
  return head + padding4(head);
}

/** Bytes after its data. */
const paddingAfter = (entry: IndexedEntry): number =>
  entry.tar === undefined ? padding4(entry.header.size) : paddingOf(storedSize(entry));

/**
 * What hard links to one inode have in common, or undefined for an entry that has no other link (initramfs.c:
 * maybe_link). A trailer ends what the numbers before it mean.
 */
export function inodeOf({ header, archive }: PlacedEntry): string | undefined {
  if (header.nlink < 2 || isDirectory(header.mode)) return undefined;
  return `${archive}/${header.devMajor}:${header.devMinor}:${header.ino}:${header.mode & S_IFMT}`;
}

/** Plain bytes of a frame at any offset; keeps the segment decompressed last. */
export class FrameReader {
  readonly #frame: Frame;
  readonly #reader: BlobReader;
  readonly #starts: readonly number[];
  readonly #size: number;
  #last: { readonly segment: number; readonly plain: Buffer } | undefined;

  constructor(frame: Frame, reader: BlobReader) {
    this.#frame = frame;
    this.#reader = reader;
    let base = 0;
    this.#starts = frame.segments.map((segment) => {
      const start = base;
      base += segment.plain;
      return start;
    });
    this.#size = base;
  }

  /** Bytes [start, end) of the frame's plain data. Throws RangeError outside of it. */
  async *read(start: number, end: number): AsyncGenerator<Buffer> {
    if (start < 0 || end > this.#size)
      throw new RangeError(`no bytes ${start} to ${end} in a frame of ${this.#size}`);
    for (let at = start; at < end;) {
      const number = this.segmentAt(at);
      const base = this.#starts[number] ?? 0;
      const plain = await this.#plain(number);
      const stop = Math.min(end - base, plain.length);
      yield plain.subarray(at - base, stop);
      at = base + stop;
    }
  }

  /** The data of an entry of the frame. */
  dataOf(entry: PlacedEntry): AsyncIterable<Buffer> {
    return readEntryData(entry, (start, end) => this.read(start, end));
  }

  /** The segment that holds the plain byte at `offset`. */
  segmentAt(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  async #plain(number: number): Promise<Buffer> {
    if (this.#last?.segment === number) return this.#last.plain;
    const segment = this.#frame.segments[number];
    if (segment === undefined) throw new RangeError(`no segment ${number}`);
    const stored = (await readBlobs(this.#reader, [segment.blob])).get(segment.blob) ?? Buffer.alloc(0);
    const plain = await codecOf(this.#frame).decompress(stored, segment.plain);
    this.#last = { segment: number, plain };
    return plain;
  }
}
