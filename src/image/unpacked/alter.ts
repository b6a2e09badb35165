import type { PlacedEntry } from '../archive-index.js';
import { isDirectory } from '../cpio/header.js';
import { canonicalPath, type ArchivePath } from '../cpio/path.js';
import { contentOf, type Content, type Edit } from '../edit.js';
import { planEdits } from '../edit-plan.js';
import type { PlannedEntry } from '../entry-draft.js';
import { ArchiveTree } from '../tree.js';
import type { GatheredEntry } from './gather.js';

/** Gathered entries, to look into as into an archive. */
export interface GatheredTree {
  readonly tree: ArchiveTree;
  /** The data of an entry of `tree`; of a hard link, that of the file. */
  read(entry: PlacedEntry): AsyncIterable<Buffer>;
}

/** `entries` as the tree that they unpack to. */
export function openGathered(entries: readonly GatheredEntry[]): GatheredTree {
  const placed = placedOf(entries);
  const contents = new Map<PlacedEntry, Content>(placed.map((entry, at) => [entry, contentAt(entries, at)]));
  const tree = new ArchiveTree(placed);
  return { tree, read: (entry) => (contents.get(tree.dataOf(entry)) ?? NOTHING).read() };
}

/** The time of new entries, seconds: that of the newest entry. Later times than 2038-01-19 are taken for wrong ones. */
export function newestOf(entries: readonly GatheredEntry[]): number {
  let newest = 0;
  for (const { header } of entries)
    if (header.mtime > newest && header.mtime < 2 ** 31) newest = header.mtime;
  return newest;
}

/**
 * What `edits`, applied one after another, make of `entries`; nothing on disk changes. New entries follow all others.
 * Throws what planEdits throws.
 */
export function alterEntries(
  entries: readonly GatheredEntry[],
  edits: readonly Edit[],
  mtime: number,
): GatheredEntry[] {
  if (edits.length === 0) return [...entries];
  const placed = placedOf(entries);
  const at = new Map(placed.map((entry, index) => [entry, index]));
  const plan = planEdits(placed, edits, { mtime });
  const gathered = ({ data, rawName, header, target, added }: PlannedEntry): GatheredEntry => {
    const from = data.kind === 'new' ? undefined : entries[at.get(data.entry) ?? -1];
    return {
      path: canonicalPath(rawName),
      rawName,
      header,
      content: data.kind === 'new' ? data.content : (from?.content ?? NOTHING),
      ...(target === undefined ? {} : { target }),
      ...(from?.mark === undefined ? {} : { mark: from.mark }),
      ...(from?.added === undefined && added === undefined ? {} : { added: { ...from?.added, ...added } }),
    };
  };
  const kept = entries.flatMap((entry, index) => {
    const changed = plan.changed.get(index);
    if (changed === undefined) return [entry];
    return changed === null ? [] : [{ ...gathered(changed), path: entry.path }];
  });
  return [...kept, ...plan.added.map(gathered)];
}

/**
 * `entries`, which were made of `gathered`, with the inode numbers that `before`, an archive made in the same way, has for
 * what was altered: so that the same alterations give the same archive again.
 */
export function settleNumbers(
  entries: readonly GatheredEntry[],
  gathered: readonly GatheredEntry[],
  before: ReadonlyMap<ArchivePath, PlacedEntry>,
): GatheredEntry[] {
  const stays = new Set(gathered);
  const isOneName = ({ nlink, mode }: GatheredEntry['header']): boolean => nlink < 2 || isDirectory(mode);
  const used = new Set<number>();
  for (const entry of entries) if (stays.has(entry) || !isOneName(entry.header)) used.add(entry.header.ino);
  const wanted = entries.map((entry) => {
    const ino = before.get(entry.path)?.header.ino;
    if (stays.has(entry) || !isOneName(entry.header) || ino === undefined || used.has(ino)) return undefined;
    used.add(ino);
    return ino;
  });
  let next = 1;
  return entries.map((entry, at) => {
    if (stays.has(entry) || !isOneName(entry.header)) return entry;
    let ino = wanted[at];
    if (ino === undefined) {
      while (used.has(next)) next++;
      ino = used.has(entry.header.ino) ? next : entry.header.ino;
      used.add(ino);
    }
    return { ...entry, header: { ...entry.header, ino } };
  });
}

const NOTHING = contentOf(Buffer.alloc(0));

const contentAt = (entries: readonly GatheredEntry[], at: number): Content => entries[at]?.content ?? NOTHING;

function placedOf(entries: readonly GatheredEntry[]): PlacedEntry[] {
  return entries.map(({ path, rawName, header, target }, at) => ({
    path,
    rawName,
    header: { ...header, nameSize: rawName.length + 1 },
    ...(target === undefined ? {} : { target }),
    ...{ frame: 0, archive: 0, segment: 0, at, offset: at, dataOffset: at, end: at },
  }));
}
