import { applyPlan, type ApplyTools } from '../apply-plan.js';
import { FrameReader, type PlacedEntry } from '../archive-index.js';
import type { ArchiveDescriptor } from '../archive.js';
import { haveSameBytes } from '../chunks.js';
import { isRegular, isSymlink, S_IFMT } from '../cpio/header.js';
import type { EditPlan } from '../edit-plan.js';
import { attributesOf, type PlannedEntry } from '../entry-draft.js';
import { ImageError } from '../errors.js';
import { tailOfPart } from '../parts.js';
import { ArchiveTree } from '../tree.js';
import { compressAgain, withWhole } from '../whole/compress.js';
import type { WholeCodec } from '../whole/codecs.js';
import type { GatheredEntry } from './gather.js';
import { placeEntries } from './placement.js';

/** Which archive of a file is written anew, and how it is compressed. */
export interface TarTarget {
  readonly part: number; // from 1
  readonly compress: WholeCodec | undefined; // whole, by that program; by default as it was
  /** Whether the file that an entry is made of is the one that `base` was made of. */
  readonly isUnchanged?: (entry: GatheredEntry) => boolean;
}

/**
 * The file `base` of a tar archive or squashfs, which holds `old`, made of `entries`. What stands in it as it did is left
 * alone; a file that changed keeps the extended attributes it had there, beside those that it has on disk. When nothing
 * changes, that is `base` itself. Throws ImageError EDIT_CONFLICT for sockets, UNKNOWN_CODEC, TRUNCATED, and what
 * compressing throws.
 */
export async function packTar(
  base: ArchiveDescriptor,
  old: readonly PlacedEntry[],
  entries: readonly GatheredEntry[],
  { part, compress, isUnchanged = () => false }: TarTarget,
  tools: ApplyTools,
): Promise<ArchiveDescriptor> {
  const target = tailOfPart(base, part);
  if (compress !== undefined && base.frames[target.frame]?.whole?.codec === 'squashfs') {
    throw new ImageError(
      'UNKNOWN_CODEC',
      'this image is a squashfs, which compresses in its own way; pack it without --compress',
    );
  }
  const plan = await planPack(base, old, entries, isUnchanged, tools);
  const packed = await applyPlan(base, old, plan, target, tools);
  const frame = packed.frames[target.frame];
  if (frame === undefined || (packed === base && compress === undefined)) return base;
  const served = await (compress === undefined
    ? compressAgain(frame, tools)
    : withWhole(frame, compress, tools));
  return { frames: packed.frames.map((other) => (other === frame ? served : other)) };
}

async function planPack(
  base: ArchiveDescriptor,
  old: readonly PlacedEntry[],
  entries: readonly GatheredEntry[],
  isUnchanged: (entry: GatheredEntry) => boolean,
  { blobs }: ApplyTools,
): Promise<EditPlan> {
  const tree = new ArchiveTree(old);
  const placed = placeEntries(old);
  const readers = base.frames.map((frame) => new FrameReader(frame, blobs));
  const stay = new Map<PlacedEntry, PlannedEntry>();
  const added: PlannedEntry[] = [];
  for (const entry of entries) {
    const before = placed.get(entry.path);
    const planned = await plannedOf(entry, before, tree, readers, isUnchanged(entry));
    if (before === undefined) added.push(planned);
    else stay.set(before, planned);
  }
  return { changed: new Map(old.map((entry, at) => [at, stay.get(entry) ?? null])), added, missed: [] };
}

/** A gathered entry with the data that the archive has of it, if that is the same. */
async function plannedOf(
  { path, content, mark: _mark, ...entry }: GatheredEntry,
  before: PlacedEntry | undefined,
  tree: ArchiveTree,
  readers: readonly FrameReader[],
  unchanged: boolean,
): Promise<PlannedEntry> {
  const rawName = before?.path === path ? before.rawName : entry.rawName;
  const planned: PlannedEntry = { ...entry, rawName, data: { kind: 'new', content } };
  if (before === undefined) return planned;
  const holder = tree.dataOf(before);
  const kept: PlannedEntry = { ...planned, data: { kind: 'kept', entry: holder } };
  if (entry.target !== undefined && isSymlink(before.header.mode)) return kept; // its target is in its header
  const reader = readers[holder.frame];
  if (
    (before.header.mode & S_IFMT) === (entry.header.mode & S_IFMT) &&
    content.size === holder.header.size &&
    reader !== undefined &&
    (unchanged || (await haveSameBytes(content.read(), reader.dataOf(holder))))
  )
    return kept;
  const attributes =
    isRegular(entry.header.mode) && isRegular(before.header.mode) ? attributesOf(kept) : undefined;
  return attributes === undefined ? planned : { ...planned, attributes };
}
