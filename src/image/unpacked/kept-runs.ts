import { FrameReader, type PlacedEntry } from '../archive-index.js';
import type { Frame, Segment } from '../archive.js';
import { haveSameBytes } from '../chunks.js';
import { codecOf } from '../codec.js';
import { isSymlink, newcTime } from '../cpio/header.js';
import { SEGMENT_MIN } from '../cuts.js';
import type { BlobReader } from '../../store/types.js';
import type { GatheredEntry } from './gather.js';

/** A cpio archive that a directory was packed into, or unpacked from, before. */
export interface KnownArchive {
  readonly frame: Frame; // that it is in
  readonly entries: readonly PlacedEntry[]; // its own, in its order
  /** Whether the file that an entry is made of is the one that the archive was made of. */
  isUnchanged(entry: GatheredEntry): boolean;
}

/** Segments of a known archive that hold exactly a run of the entries to pack. */
export interface KeptRun {
  readonly segments: readonly Segment[];
  readonly count: number; // entries
}

/** Smaller runs are written again, so that many small packings do not leave as many small segments. */
const LEAST = SEGMENT_MIN / 8;

/**
 * The runs of `entries` that `known` holds in segments of their own, by the place of their first entry: only what is
 * between them needs to be read from disk. Nothing is kept for a `dialect` that is not that of the archive.
 */
export async function keptRuns(
  entries: readonly GatheredEntry[],
  known: KnownArchive,
  dialect: string,
  blobs: BlobReader,
): Promise<ReadonlyMap<number, KeptRun>> {
  const runs = new Map<number, KeptRun>();
  if (codecOf(known.frame).dialect !== dialect) return runs;
  const places = new Map(entries.map(({ rawName }, at) => [rawName, at]));
  const comparison = new Comparison(known, blobs);
  for (const { segments, held } of groupsOf(known)) {
    const head = known.entries[held[0] ?? -1];
    const first = head === undefined ? undefined : places.get(head.rawName);
    if (first === undefined || plainSize(segments) < LEAST) continue;
    if (await comparison.matches(entries, first, held)) runs.set(first, { segments, count: held.length });
  }
  return runs;
}

const plainSize = (segments: readonly Segment[]): number =>
  segments.reduce((sum, { plain }) => sum + plain, 0);

/** Segments that begin where an entry does and end where another begins, and the places of the entries in them. */
interface Group {
  readonly segments: Segment[];
  readonly held: number[];
}

function groupsOf({ frame, entries }: KnownArchive): Group[] {
  const last = entries.at(-1);
  const [from, to] = [entries[0]?.offset ?? 0, last?.end ?? 0];
  const groups: Group[] = [];
  let group: Group | undefined;
  let next = 0; // place of the first entry at or after `start`
  let start = 0;
  for (const segment of frame.segments) {
    const end = start + segment.plain;
    if (segment.kind === 'entries' && start >= from && end <= to) {
      const begins = entries[next]?.offset === start;
      if (begins) groups.push((group = { segments: [], held: [] }));
      group?.segments.push(segment);
      for (; (entries[next]?.offset ?? Infinity) < end; next++) group?.held.push(next);
    } else {
      group = undefined;
      while ((entries[next]?.offset ?? Infinity) < end) next++;
    }
    start = end;
  }
  return groups;
}

/** Compares entries to pack with those of a known archive. */
class Comparison {
  readonly #known: KnownArchive;
  readonly #reader: FrameReader;

  constructor(known: KnownArchive, blobs: BlobReader) {
    this.#known = known;
    this.#reader = new FrameReader(known.frame, blobs);
  }

  /** Whether the entries from `first` on are what the known archive has at the places `held`. */
  async matches(entries: readonly GatheredEntry[], first: number, held: readonly number[]): Promise<boolean> {
    for (const [index, place] of held.entries()) {
      const [entry, old] = [entries[first + index], this.#known.entries[place]];
      if (entry === undefined || old === undefined || !haveSameHead(entry, old)) return false;
      if (!(await this.#hasSameData(entry, old))) return false;
    }
    return true;
  }

  /** By the file's mark; what was made for this archive alone is compared, as it is small. */
  async #hasSameData(entry: GatheredEntry, old: PlacedEntry): Promise<boolean> {
    if (entry.header.size === 0 || isSymlink(entry.header.mode)) return true;
    if (entry.mark !== undefined) return this.#known.isUnchanged(entry);
    return haveSameBytes(entry.content.read(), this.#reader.dataOf(old));
  }
}

const FIELDS = [
  'magic',
  'ino',
  'mode',
  'uid',
  'gid',
  'nlink',
  'size',
  'devMajor',
  'devMinor',
  'rdevMajor',
  'rdevMinor',
  'check',
] as const satisfies readonly (keyof GatheredEntry['header'])[];

function haveSameHead(entry: GatheredEntry, old: PlacedEntry): boolean {
  return (
    entry.rawName === old.rawName &&
    entry.target === old.target &&
    newcTime(entry.header.mtime) === newcTime(old.header.mtime) &&
    FIELDS.every((field) => entry.header[field] === old.header[field])
  );
}
