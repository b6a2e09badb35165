import { loadEntries, type PlacedEntry } from '../image/archive-index.js';
import type { ArchiveDescriptor } from '../image/archive.js';
import type { ArchivePath } from '../image/cpio/path.js';
import { ImageError } from '../image/errors.js';
import { kernelView } from '../image/kernel-view.js';
import { tailOfPart } from '../image/parts.js';
import type { SegmentCounts } from '../image/segment-writer.js';
import { settleNumbers } from '../image/unpacked/alter.js';
import type { FileMarks } from '../image/unpacked/file-marks.js';
import { gatherEntries, type GatheredEntry } from '../image/unpacked/gather.js';
import type { KnownArchive } from '../image/unpacked/kept-runs.js';
import { packPart } from '../image/unpacked/pack.js';
import { packTar } from '../image/unpacked/pack-tar.js';
import { placeEntries } from '../image/unpacked/placement.js';
import type { UnpackRecord } from '../image/unpacked/record.js';
import type { WholeCodec } from '../image/whole/codecs.js';
import type { BlobReader, BlobWriter } from '../store/types.js';
import { readAttributes } from './edit/extended-attributes.js';
import { formOf } from './pack-form.js';

/** What packing a directory works with. */
export interface PackTools {
  readonly blobs: BlobReader;
  readonly writer: BlobWriter;
  readonly counts: SegmentCounts;
  readonly earlier: readonly ArchiveDescriptor[];
  readonly onCapabilityLost: (path: ArchivePath) => void;
}

/** An archive that the directory was packed into, or unpacked from, and the files that it then had. */
export interface KnownState {
  readonly descriptor: ArchiveDescriptor;
  readonly part: number;
  readonly marks: FileMarks;
}

/** What is made of which directory. */
export interface DirectoryPacking {
  readonly directory: string;
  readonly record: UnpackRecord | undefined;
  /** The archive file that the directory's archive is a part of. */
  readonly start: ArchiveDescriptor;
  readonly part: number;
  readonly compress: WholeCodec | undefined; // whole, by that program; by default as `start`
  /** The archive that order and inode numbers are taken from: what the directory was unpacked from. */
  readonly base: readonly PlacedEntry[];
  readonly known: readonly KnownState[];
  readonly note: (line: string) => void;
  /** What else is to be changed, beside what is on disk. */
  prepare(entries: readonly GatheredEntry[]): Promise<readonly GatheredEntry[]>;
}

/** What packing made. */
export interface PackedDirectory {
  readonly descriptor: ArchiveDescriptor;
  readonly marks: FileMarks; // of the files that it is made of
}

/** Change times this near to the present may be kept by another change: file systems' clocks tick slower than this one. */
const TICK = 1000; // ms

/** Packs a directory. Throws ImageError, and what `prepare` throws. */
export async function packDirectory(packing: DirectoryPacking, tools: PackTools): Promise<PackedDirectory> {
  const { directory, record, start, part, compress } = packing;
  const clock = BigInt(Date.now() - TICK) * 1_000_000n;
  const placed = placesOf(packing);
  const gathered = await withAttributes(await gatherEntries(directory, { placed, record, clock }), packing);
  const entries = settleNumbers(await packing.prepare(gathered), gathered, placed);
  const known = likest(packing.known, start, entries);
  const isUnchanged = ({ path, mark }: GatheredEntry): boolean =>
    mark !== undefined && known?.marks.get(path) === mark;
  const marks = new Map(entries.flatMap(({ path, mark }) => (mark === undefined ? [] : [[path, mark]])));
  if (formOf(start).method === 'cpio') {
    const target = {
      part,
      compress,
      ...(known === undefined ? {} : { known: await knownArchive(known, isUnchanged, tools.blobs) }),
    };
    return { descriptor: await packPart(start, entries, target, tools), marks };
  }
  const base = known?.descriptor ?? start;
  const old = await entriesOf(base, part, tools.blobs);
  const descriptor = await packTar(base, old, entries, { part, compress, isUnchanged }, tools);
  return { descriptor, marks };
}

/** `entries` with the extended attributes that their files have on disk, where the archive has a place for them. */
async function withAttributes(
  entries: readonly GatheredEntry[],
  { directory, start, note }: DirectoryPacking,
): Promise<readonly GatheredEntry[]> {
  if (formOf(start).method === 'cpio') return entries;
  const paths = entries.map(({ path }) => path);
  const found = await readAttributes(directory, paths);
  if (found === undefined)
    note('extended attributes were not read: that takes python3; install it and pack again');
  return entries.map((entry) => {
    const added = found?.get(entry.path);
    return added === undefined ? entry : { ...entry, added };
  });
}

/** Where what `base` holds lies; nothing where it cannot be unpacked, and then gives no order either. */
function placesOf({ base, record }: DirectoryPacking): Map<ArchivePath, PlacedEntry> {
  try {
    return placeEntries(kernelView(base)?.entries ?? base);
  } catch (error) {
    if (record === undefined && error instanceof ImageError) return new Map();
    throw error;
  }
}

/** Of several archives of the directory, in the form of `start`, the one with the most files that are as they were. */
function likest(
  known: readonly KnownState[],
  start: ArchiveDescriptor,
  entries: readonly GatheredEntry[],
): KnownState | undefined {
  const { method, compression } = formOf(start);
  let found: KnownState | undefined;
  let most = 0;
  for (const state of known) {
    const form = formOf(state.descriptor);
    if (form.method !== method || (method === 'tar' && form.compression !== compression)) continue;
    const alike = entries.filter(({ path, mark }) => mark !== undefined && state.marks.get(path) === mark);
    if (alike.length > most) [found, most] = [state, alike.length];
  }
  return found;
}

async function knownArchive(
  { descriptor, part }: KnownState,
  isUnchanged: KnownArchive['isUnchanged'],
  blobs: BlobReader,
): Promise<KnownArchive> {
  const frame = descriptor.frames[tailOfPart(descriptor, part).frame];
  if (frame === undefined) throw new RangeError(`no part ${part}`);
  return { frame, entries: await entriesOf(descriptor, part, blobs), isUnchanged };
}

/** The entries of one of the archives in an archive file. */
export async function entriesOf(
  descriptor: ArchiveDescriptor,
  part: number,
  blobs: BlobReader,
): Promise<PlacedEntry[]> {
  return (await loadEntries(descriptor, blobs)).filter((entry) => entry.archive === part - 1);
}
