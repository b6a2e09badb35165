import { lstat, readdir, readlink } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { inodeOf, type PlacedEntry } from '../archive-index.js';
import { sumOf } from '../cpio/checksum.js';
import {
  isDirectory,
  isRegular,
  isSymlink,
  S_IFBLK,
  S_IFCHR,
  S_IFMT,
  S_IFSOCK,
  type CpioHeader,
  type CpioMagic,
} from '../cpio/header.js';
import { ROOT, type ArchivePath } from '../cpio/path.js';
import { splitDevice } from '../device-number.js';
import { contentOf, type Content } from '../edit.js';
import type { WrittenEntry } from '../entry-writer.js';
import { readLocalFile, unreadable } from '../local-file.js';
import type { MtreeEntry } from '../mtree.js';
import type { UnpackRecord } from './record.js';
import { onDisk, ownModeOf } from './unpack.js';

/** An entry to pack, and its data. */
export interface GatheredEntry extends WrittenEntry {
  readonly content: Content;
}

/** What a directory was unpacked from: where its entries lay (see placeEntries), and the record beside it. */
export interface GatherBase {
  readonly placed: ReadonlyMap<ArchivePath, PlacedEntry>;
  readonly record: UnpackRecord | undefined;
}

/**
 * The entries of an archive that unpacks to `directory`: those of `base` first, in its order, with the numbers they had
 * there, then new ones by the bytes of their names. Owners are those on disk, or the record's where it says so; of
 * permissions and times, what changed on disk counts, else the record. Throws ImageError UNREADABLE.
 */
export async function gatherEntries(directory: string, base: GatherBase): Promise<GatheredEntry[]> {
  const found = await walk(directory);
  const files = new Map<ArchivePath, Stats | MtreeEntry>(found);
  for (const [path, entry] of base.record?.entries ?? [])
    if (!found.has(path) && standsOnlyInRecord(entry, base)) files.set(path, entry);
  if (!base.placed.has(ROOT)) files.delete(ROOT);
  const inOrder: Iterable<ArchivePath> =
    base.placed.size > 0 ? base.placed.keys() : (base.record?.entries.keys() ?? []);
  const order = [...inOrder].filter((path) => files.has(path));
  const known = new Set(order);
  order.push(...[...files.keys()].filter((path) => !known.has(path)).sort());
  const numbers = new Numbers(order, found, base.placed);
  const entries: GatheredEntry[] = [];
  for (const path of order) {
    const file = files.get(path);
    if (file !== undefined) entries.push(await gather(directory, path, file, base, numbers.of(path)));
  }
  return entries;
}

/** Sockets are never on disk, devices not without root. */
function standsOnlyInRecord({ type }: MtreeEntry, { record }: GatherBase): boolean {
  if (type === S_IFSOCK) return true;
  return record?.origin.owners === 'record' && (type === S_IFCHR || type === S_IFBLK);
}

async function walk(directory: string): Promise<Map<ArchivePath, Stats>> {
  const found = new Map<ArchivePath, Stats>();
  const visit = async (path: ArchivePath): Promise<void> => {
    const place = onDisk(directory, path);
    try {
      const info = await lstat(place);
      found.set(path, info);
      if (!info.isDirectory()) return;
      const names = await readdir(place, { encoding: 'latin1' });
      for (const name of names.sort()) await visit((path === ROOT ? name : `${path}/${name}`) as ArchivePath);
    } catch (error) {
      throw error instanceof Error && 'syscall' in error ? unreadable(place, error) : error;
    }
  };
  await visit(ROOT);
  return found;
}

/** What links an entry to others of its file. */
interface Numbering {
  readonly ino: number;
  readonly nlink: number;
  readonly holdsData: boolean;
}

/** Inode numbers: those of the base where its files have the same names still, new ones for all others. */
class Numbers {
  readonly #placed: ReadonlyMap<ArchivePath, PlacedEntry>;
  readonly #groups = new Map<ArchivePath, readonly ArchivePath[]>(); // names of one file on disk, in order
  readonly #baseGroups = new Map<string, ArchivePath[]>();
  readonly #given = new Map<readonly ArchivePath[], number>();
  readonly #used = new Set<number>();
  #next = 1;

  constructor(
    order: readonly ArchivePath[],
    found: ReadonlyMap<ArchivePath, Stats>,
    placed: ReadonlyMap<ArchivePath, PlacedEntry>,
  ) {
    this.#placed = placed;
    const byInode = new Map<string, ArchivePath[]>();
    for (const path of order) {
      const info = found.get(path);
      const key = info?.isFile() === true && info.nlink > 1 ? `${info.dev}:${info.ino}` : path;
      const group = byInode.get(key) ?? [];
      byInode.set(key, group);
      group.push(path);
      this.#groups.set(path, group);
    }
    for (const [path, entry] of placed) {
      this.#used.add(entry.header.ino);
      this.#next = Math.max(this.#next, entry.header.ino + 1);
      const inode = inodeOf(entry);
      if (inode === undefined || !isRegular(entry.header.mode)) continue;
      const group = this.#baseGroups.get(inode) ?? [];
      this.#baseGroups.set(inode, group);
      group.push(path);
    }
  }

  of(path: ArchivePath): Numbering {
    const group = this.#groups.get(path) ?? [path];
    const base = this.#placed.get(path);
    if (base !== undefined && this.#isAsBefore(group, base)) {
      const { ino, nlink, size } = base.header;
      const anyHeld = group.some((name) => (this.#placed.get(name)?.header.size ?? 0) > 0);
      return { ino, nlink, holdsData: anyHeld ? size > 0 : group.at(-1) === path };
    }
    let ino = this.#given.get(group);
    if (ino === undefined) {
      ino = this.#take();
      this.#given.set(group, ino);
    }
    return { ino, nlink: group.length, holdsData: group.at(-1) === path };
  }

  #isAsBefore(group: readonly ArchivePath[], base: PlacedEntry): boolean {
    const inode = isRegular(base.header.mode) ? inodeOf(base) : undefined;
    const before = inode === undefined ? undefined : this.#baseGroups.get(inode);
    if (before === undefined) return group.length === 1;
    return before.length === group.length && before.every((path) => group.includes(path));
  }

  #take(): number {
    if (this.#next > 0xffff_ffff) this.#next = 1;
    while (this.#used.has(this.#next)) this.#next++;
    this.#used.add(this.#next);
    return this.#next++;
  }
}

async function gather(
  directory: string,
  path: ArchivePath,
  file: Stats | MtreeEntry,
  base: GatherBase,
  numbers: Numbering,
): Promise<GatheredEntry> {
  const before = base.placed.get(path);
  const record = base.record?.origin.owners === 'record' ? base.record.entries.get(path) : undefined;
  const place = onDisk(directory, path);
  const onlyRecord = !('ino' in file);
  const mode = onlyRecord ? (file.type ?? 0) | (file.mode ?? 0o600) : modeOf(file, before, record);
  const target = isSymlink(mode) ? await readlink(place, { encoding: 'latin1' }) : undefined;
  const content = onlyRecord ? contentOf(Buffer.alloc(0)) : contentOfFile(place, file, target, numbers);
  const keptAside = base.record?.origin.owners === 'record' && !onlyRecord;
  const ownedBy = keptAside ? (record ?? { uid: 0, gid: 0 }) : file;
  const rdev = onlyRecord ? file.rdev : splitDevice(BigInt(file.rdev));
  const device = (mode & S_IFMT) === S_IFCHR || (mode & S_IFMT) === S_IFBLK;
  const header: Omit<CpioHeader, 'nameSize'> = {
    magic: before?.header.magic ?? magicOf(base),
    ino: numbers.ino,
    mode,
    uid: ownedBy.uid ?? 0,
    gid: ownedBy.gid ?? 0,
    nlink: before === undefined && isDirectory(mode) ? 2 : numbers.nlink,
    mtime: onlyRecord ? (file.mtime ?? 0) >>> 0 : timeOf(file, before, record),
    size: content.size,
    devMajor: before?.header.devMajor ?? 0,
    devMinor: before?.header.devMinor ?? 0,
    rdevMajor: device ? (rdev?.major ?? 0) : (before?.header.rdevMajor ?? 0),
    rdevMinor: device ? (rdev?.minor ?? 0) : (before?.header.rdevMinor ?? 0),
    check: before?.header.check ?? 0,
  };
  const summed = header.magic === '070702' && isRegular(mode) && content.size > 0;
  return {
    rawName: before?.rawName ?? prefixOf(base) + path,
    header: summed ? { ...header, check: await sumOf(content.read()) } : header,
    content,
    ...(target === undefined ? {} : { target }),
  };
}

function contentOfFile(place: Buffer, file: Stats, target: string | undefined, numbers: Numbering): Content {
  if (target !== undefined) return contentOf(Buffer.from(target, 'latin1'));
  if (!file.isFile() || !numbers.holdsData || file.size === 0) return contentOf(Buffer.alloc(0));
  return { size: file.size, read: () => readLocalFile(place) };
}

function modeOf(file: Stats, before: PlacedEntry | undefined, record: MtreeEntry | undefined): number {
  const type = file.mode & S_IFMT;
  const same =
    before !== undefined && (before.header.mode & S_IFMT) === type ? before.header.mode : undefined;
  if (isSymlink(file.mode)) return same ?? file.mode;
  if (record?.mode === undefined) return file.mode;
  const unpackedAs = ownModeOf(same ?? type | record.mode);
  return (file.mode & 0o7777) === unpackedAs ? type | record.mode : file.mode;
}

function timeOf(file: Stats, before: PlacedEntry | undefined, record: MtreeEntry | undefined): number {
  const time = Math.floor(file.mtimeMs / 1000) >>> 0;
  return record?.mtime !== undefined && time === (before?.header.mtime ?? record.mtime)
    ? record.mtime >>> 0
    : time;
}

const magicOf = ({ placed }: GatherBase): CpioMagic => [...placed.values()].at(-1)?.header.magic ?? '070701';

function prefixOf({ placed }: GatherBase): '' | './' {
  const dotted = [...placed.values()].filter(({ rawName }) => rawName.startsWith('./')).length;
  return dotted * 2 > placed.size ? './' : '';
}
