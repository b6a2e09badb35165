import type { FileExtent, MetadataReader } from '../source.js';
import { damaged, decodeLong, decodeTimestamp, requireTag, TAG, unsupported } from './descriptor.js';

/** A file entry (ECMA-167 4/14.9) or extended file entry (4/14.17), and where its bytes lie. */
export interface FileEntry {
  readonly fileType: number; // ECMA-167 4/14.6.6
  readonly size: number; // bytes
  readonly mode: number; // permission bits, as stat has them
  readonly uid: number | null; // null: not specified
  readonly gid: number | null;
  readonly mtime: number | null; // seconds since the epoch
  readonly extents: readonly FileExtent[]; // together `size` bytes
}

/** Where a file entry was found, and how addresses in it are found. */
export interface EntryPlace {
  readonly offset: number; // bytes of the image
  readonly partition: number; // its own, to which short allocation descriptors refer
  readonly blockSize: number;
  /** Where a block of a partition lies, bytes of the image. Throws ImageError. */
  readonly locate: (partition: number, block: number) => number;
}

/** Where the fields of both kinds of entry lie that are not in the same places. */
const LAYOUT = {
  [TAG.file]: { modified: 84, attributesLength: 168, allocationLength: 172, end: 176 },
  [TAG.extendedFile]: { modified: 92, attributesLength: 208, allocationLength: 212, end: 216 },
} as const;

const STRATEGY = 4; // one entry, no chain of older ones
const UNSPECIFIED = 0xffffffff;
const MAX_CONTINUATIONS = 65_536;
const MAX_DESCRIPTORS = 4_000_000;

/** Reads the entry in `bytes`, a block. Throws ImageError. */
export async function readFileEntry(
  reader: MetadataReader,
  bytes: Buffer,
  place: EntryPlace,
): Promise<FileEntry> {
  const kind = requireTag(bytes, [TAG.file, TAG.extendedFile], `the file entry at byte ${place.offset}`);
  const layout = LAYOUT[kind];
  if (bytes.readUInt16LE(20) !== STRATEGY)
    throw unsupported(`file entries of strategy ${bytes.readUInt16LE(20)}`);
  const size = Number(bytes.readBigUInt64LE(56));
  if (!Number.isSafeInteger(size)) throw damaged('a file of more bytes than any medium holds');
  const start = layout.end + bytes.readUInt32LE(layout.attributesLength);
  const length = bytes.readUInt32LE(layout.allocationLength);
  if (start + length > bytes.length) throw damaged('a file entry that is longer than a block');
  const flags = bytes.readUInt16LE(34);
  const extents =
    (flags & 7) === 3
      ? embedded(place.offset + start, length, size)
      : await allocated(reader, bytes.subarray(start, start + length), flags & 7, size, place);
  return {
    fileType: bytes.readUInt8(27),
    size,
    mode: decodePermissions(bytes.readUInt32LE(44), flags),
    uid: owner(bytes.readUInt32LE(36)),
    gid: owner(bytes.readUInt32LE(40)),
    mtime: decodeTimestamp(bytes.subarray(layout.modified, layout.modified + 12)),
    extents,
  };
}

/** All bytes of a file that is metadata. */
export async function readAllocated(reader: MetadataReader, entry: FileEntry, what: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const { offset, length } of entry.extents) {
    if (offset === null) throw damaged(`${what} has a hole`);
    parts.push(await reader.read(what, offset, length));
  }
  return Buffer.concat(parts);
}

const owner = (id: number): number | null => (id === UNSPECIFIED ? null : id);

/** Read, write and execute of others, group and owner, five bits each (ECMA-167 4/14.9.5), and flags (4/14.6.8). */
function decodePermissions(permissions: number, flags: number): number {
  const bits = (shift: number): number => {
    const five = (permissions >>> shift) & 0x1f;
    return ((five & 4) !== 0 ? 4 : 0) | ((five & 2) !== 0 ? 2 : 0) | ((five & 1) !== 0 ? 1 : 0);
  };
  const special =
    ((flags & 0x40) !== 0 ? 0o4000 : 0) |
    ((flags & 0x80) !== 0 ? 0o2000 : 0) |
    ((flags & 0x100) !== 0 ? 0o1000 : 0);
  return special | (bits(10) << 6) | (bits(5) << 3) | bits(0);
}

function embedded(offset: number, length: number, size: number): FileExtent[] {
  if (size > length) throw damaged(`a file of ${size} bytes in ${length}`);
  return size === 0 ? [] : [{ offset, length: size }];
}

/** The extents that allocation descriptors name, cut to `size`. */
async function allocated(
  reader: MetadataReader,
  descriptors: Buffer,
  form: number,
  size: number,
  place: EntryPlace,
): Promise<FileExtent[]> {
  if (form !== 0 && form !== 1) throw unsupported(`allocation descriptors of form ${form}`);
  const width = form === 0 ? 8 : 16;
  const extents: FileExtent[] = [];
  let left = size;
  let count = 0;
  let area: Buffer | undefined = descriptors;
  for (let hops = 0; area !== undefined; hops++) {
    if (hops > MAX_CONTINUATIONS) throw damaged('a chain of allocation extents without an end');
    let next: Buffer | undefined;
    for (let at = 0; at + width <= area.length && left > 0; at += width) {
      if (++count > MAX_DESCRIPTORS)
        throw damaged(`more than ${MAX_DESCRIPTORS} allocation descriptors of one file`);
      const { type, length, block, partition } =
        form === 0 ? { ...decodeShort(area, at), partition: place.partition } : decodeLong(area, at);
      if (length === 0) break; // the end (ECMA-167 4/12)
      if (type === 3) {
        next = await continuation(reader, place, partition, block);
        break;
      }
      const taken = Math.min(length, left);
      left -= taken;
      if (type !== 0) append(extents, null, taken);
      else locateRun(extents, place, partition, block, taken, reader.size);
    }
    area = left > 0 ? next : undefined;
  }
  if (left > 0) append(extents, null, left); // what is not allocated reads as zeros
  return extents;
}

function decodeShort(bytes: Buffer, at: number): { type: number; length: number; block: number } {
  const length = bytes.readUInt32LE(at);
  return { type: length >>> 30, length: length & 0x3fffffff, block: bytes.readUInt32LE(at + 4) };
}

/** The descriptors that follow in an extent of their own (ECMA-167 4/14.5). */
async function continuation(
  reader: MetadataReader,
  { locate, blockSize }: EntryPlace,
  partition: number,
  block: number,
): Promise<Buffer> {
  const bytes = await reader.read('Allocation descriptors', locate(partition, block), blockSize);
  requireTag(bytes, [TAG.allocationExtent], 'an extent of allocation descriptors');
  const length = bytes.readUInt32LE(20);
  if (24 + length > bytes.length) throw damaged('an extent of allocation descriptors longer than a block');
  return bytes.subarray(24, 24 + length);
}

/** Adds `length` bytes from `block` on, block by block only where the partition may have moved some. */
function locateRun(
  extents: FileExtent[],
  { locate, blockSize }: EntryPlace,
  partition: number,
  block: number,
  length: number,
  imageSize: number,
): void {
  for (let done = 0; done < length; done += blockSize) {
    const piece = Math.min(blockSize, length - done);
    const offset = locate(partition, block + done / blockSize);
    if (offset + piece > imageSize)
      throw damaged(`a file ends at byte ${offset + piece}, behind the end of the image`);
    append(extents, offset, piece);
  }
}

/** Adds a run to `extents`, to the last one where it continues that. */
function append(extents: FileExtent[], offset: number | null, length: number): void {
  const last = extents.at(-1);
  const continues =
    last !== undefined &&
    (last.offset === null ? offset === null : offset !== null && last.offset + last.length === offset);
  if (continues) extents[extents.length - 1] = { offset: last.offset, length: last.length + length };
  else extents.push({ offset, length });
}
