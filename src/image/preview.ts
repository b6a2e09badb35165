import type { BlobReader } from '../store/types.js';
import type { ArchiveDescriptor } from './archive.js';
import { FrameReader, type PlacedEntry } from './archive-index.js';
import { canonicalPath } from './cpio/path.js';
import type { Edit } from './edit.js';
import { planEdits } from './edit-plan.js';
import type { PlannedEntry } from './entry-draft.js';
import { ArchiveTree } from './tree.js';

/** An archive as edits are going to leave it, to look into before anything is written. */
export interface ArchivePreview {
  /** Its entries; where they will stand in the archive is not known yet. */
  readonly tree: ArchiveTree;
  /** The data of an entry of the tree; of a hard link, that of the inode. */
  read(entry: PlacedEntry): AsyncIterable<Buffer>;
}

/** What `edits` are going to make of `base`, which holds `entries`. Throws what planEdits throws. */
export function previewArchive(
  base: ArchiveDescriptor,
  entries: readonly PlacedEntry[],
  edits: readonly Edit[],
  blobs: BlobReader,
): ArchivePreview {
  const plan = planEdits(entries, edits, { mtime: 0 });
  const data = new Map<PlacedEntry, PlannedEntry['data']>();
  const after: PlacedEntry[] = [];
  const add = (planned: PlannedEntry, place: PlacedEntry | undefined): void => {
    const entry = plannedEntry(planned, place ?? entries.at(-1));
    data.set(entry, planned.data);
    after.push(entry);
  };
  entries.forEach((entry, at) => {
    const planned = plan.changed.get(at);
    if (planned === undefined) after.push(entry);
    else if (planned !== null) add(planned, entry);
  });
  for (const planned of plan.added) add(planned, undefined);
  const readers = base.frames.map((frame) => new FrameReader(frame, blobs));
  const tree = new ArchiveTree(after);
  return {
    tree,
    read(entry) {
      const holder = tree.dataOf(entry);
      const from = data.get(holder) ?? { kind: 'kept', entry: holder };
      if (from.kind === 'new') return from.content.read();
      const { frame } = from.entry;
      const reader = readers[frame];
      if (reader === undefined) throw new RangeError(`no frame ${frame}`);
      return reader.dataOf(from.entry);
    },
  };
}

/** A planned entry with the shape of one that has its place, which is that of `near`. */
function plannedEntry({ rawName, header, target }: PlannedEntry, near: PlacedEntry | undefined): PlacedEntry {
  return {
    ...{ at: 0, segment: 0, offset: 0, dataOffset: 0, end: 0 },
    frame: near?.frame ?? 0,
    archive: near?.archive ?? 0,
    rawName,
    path: canonicalPath(rawName),
    header: { ...header, nameSize: rawName.length + 1 },
    ...(target === undefined ? {} : { target }),
  };
}
