import type { BigIntStats } from 'node:fs';
import { readlink } from 'node:fs/promises';
import type { PlacedEntry } from '../archive-index.js';
import { sumOf } from '../cpio/checksum.js';
import {
  isDirectory,
  isRegular,
  isSymlink,
  newcTime,
  S_IFBLK,
  S_IFCHR,
  S_IFMT,
  S_IFSOCK,
  type CpioHeader,
  type CpioMagic,
} from '../cpio/header.js';
import { ROOT, type ArchivePath } from '../cpio/path.js';
import { splitDevice } from '../device-number.js';
import { contentOf, type Content, type ExtendedAttributes } from '../edit.js';
import type { WrittenEntry } from '../entry-writer.js';
import { followLinks } from '../follow-links.js';
import { readLocalFile, wholeSeconds } from '../local-file.js';
import type { MtreeEntry } from '../mtree.js';
import { prefixOf } from '../new-entries.js';
import { walkDirectory, type FoundFile as WalkedFile } from '../walk-directory.js';
import { isTellable, markOf, type FileMark } from './file-marks.js';
import { Numbers, type Numbering } from './numbers.js';
import type { UnpackRecord } from './record.js';
import { ownModeOf } from './unpack.js';

/** An entry to pack, and its data. */
export interface GatheredEntry extends WrittenEntry {
  readonly path: ArchivePath;
  readonly content: Content;
  readonly mark?: FileMark; // of the file on disk that the content is, where it can be told by one
  readonly added?: ExtendedAttributes; // that a tar archive gets of it, beside those that it had there
}

/** What a directory was unpacked from: where its entries lay (see placeEntries), and the record beside it. */
export interface GatherBase {
  readonly placed: ReadonlyMap<ArchivePath, PlacedEntry>;
  readonly record: UnpackRecord | undefined;
  /** Files that were changed before this time have marks: nanoseconds since the epoch. Without it none has. */
  readonly clock?: bigint;
}

/**
 * The entries of an archive that unpacks to `directory`: those of `base` first, in its order, with the numbers they had
 * there, then new ones by the bytes of their names. What is mounted in it is left out, as packimage does (find -xdev). Owners are those on disk, or the record's where it says so; of
 * permissions and times, what changed on disk counts, else the record. Throws ImageError UNREADABLE.
 */
export async function gatherEntries(directory: string, base: GatherBase): Promise<GatheredEntry[]> {
  const found = new Map<ArchivePath, WalkedFile>();
  for await (const file of walkDirectory(directory, { stay: true })) found.set(file.path, file);
  const files = new Map<ArchivePath, WalkedFile | MtreeEntry>(found);
  for (const [path, entry] of base.record?.entries ?? [])
    if (!found.has(path) && standsOnlyInRecord(entry, base)) files.set(path, entry);
  if (!base.placed.has(ROOT)) files.delete(ROOT);
  const inOrder: Iterable<ArchivePath> =
    base.placed.size > 0 ? base.placed.keys() : (base.record?.entries.keys() ?? []);
  const order = [...inOrder].filter((path) => files.has(path));
  const known = new Set(order);
  order.push(...[...files.keys()].filter((path) => !known.has(path)).sort());
  return new Gathering(base, found, order).run(files);
}

/** Sockets are never on disk, devices not without root. */
function standsOnlyInRecord({ type }: MtreeEntry, { record }: GatherBase): boolean {
  if (type === S_IFSOCK) return true;
  return record?.origin.owners === 'record' && (type === S_IFCHR || type === S_IFBLK);
}

class Gathering {
  readonly #base: GatherBase;
  readonly #found: ReadonlyMap<ArchivePath, WalkedFile>;
  readonly #order: readonly ArchivePath[];
  readonly #numbers: Numbers;
  readonly #targets = new Map<ArchivePath, string>(); // of symbolic links on disk, latin-1
  readonly #prefix: string;
  readonly #magic: CpioMagic;

  constructor(base: GatherBase, found: ReadonlyMap<ArchivePath, WalkedFile>, order: readonly ArchivePath[]) {
    this.#base = base;
    this.#found = found;
    this.#order = order;
    this.#numbers = new Numbers(order, found, base.placed);
    const placed = [...base.placed.values()];
    this.#prefix = prefixOf(placed);
    this.#magic = placed.at(-1)?.header.magic ?? '070701';
  }

  async run(files: ReadonlyMap<ArchivePath, WalkedFile | MtreeEntry>): Promise<GatheredEntry[]> {
    for (const { path, place, info } of this.#found.values()) {
      if (isSymlink(Number(info.mode)))
        this.#targets.set(path, (await readlink(place, { encoding: 'buffer' })).toString('latin1'));
    }
    const entries: GatheredEntry[] = [];
    for (const path of this.#order) {
      const file = files.get(path);
      if (file !== undefined) entries.push(await this.#gather(path, file));
    }
    return entries;
  }

  async #gather(path: ArchivePath, file: WalkedFile | MtreeEntry): Promise<GatheredEntry> {
    const { record: aside, placed } = this.#base;
    const before = placed.get(path);
    const record = aside?.origin.owners === 'record' ? aside.entries.get(path) : undefined;
    const numbers = this.#numbers.of(path);
    const target = this.#targets.get(path);
    const stands = 'info' in file ? onDiskAs(file, before, record) : inRecordAs(file);
    const owner = 'info' in file && aside?.origin.owners === 'record' ? (record ?? ROOTS) : stands;
    const content = 'info' in file ? contentOfFile(file, target, numbers) : contentOf(Buffer.alloc(0));
    const { mode, mtime, rdev } = stands;
    const device = (mode & S_IFMT) === S_IFCHR || (mode & S_IFMT) === S_IFBLK;
    const header: Omit<CpioHeader, 'nameSize'> = {
      magic: before?.header.magic ?? this.#magic,
      ino: numbers.ino,
      mode,
      uid: owner.uid ?? 0,
      gid: owner.gid ?? 0,
      nlink: before === undefined && isDirectory(mode) ? 2 : numbers.nlink,
      mtime,
      size: content.size,
      devMajor: before?.header.devMajor ?? 0,
      devMinor: before?.header.devMinor ?? 0,
      rdevMajor: device ? (rdev?.major ?? 0) : (before?.header.rdevMajor ?? 0),
      rdevMinor: device ? (rdev?.minor ?? 0) : (before?.header.rdevMinor ?? 0),
      check: before?.header.check ?? 0,
    };
    const summed = header.magic === '070702' && isRegular(mode) && content.size > 0;
    return {
      path,
      rawName: before !== undefined && this.#leadsTo(before, path) ? before.rawName : this.#nameOf(path),
      header: summed ? { ...header, check: await sumOf(content.read()) } : header,
      content,
      ...(target === undefined ? {} : { target }),
      ...('info' in file && this.#hasMark(file.info) ? { mark: markOf(file.info) } : {}),
    };
  }

  #hasMark(info: BigIntStats): boolean {
    return info.isFile() && this.#base.clock !== undefined && isTellable(info, this.#base.clock);
  }

  #nameOf(path: ArchivePath): string {
    return path === ROOT ? '.' : this.#prefix + path;
  }

  /** Whether the name that an entry had still leads to `path`: a link that it went through may be gone. */
  #leadsTo(before: PlacedEntry, path: ArchivePath): boolean {
    if (before.path === path) return true;
    return followLinks(before.path, { targetOf: (at) => this.#targets.get(at), last: false }) === path;
  }
}

/** What a file is, by what is on disk or in the record. */
interface Standing {
  readonly mode: number; // st_mode
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime: number; // seconds
  readonly rdev?: { readonly major: number; readonly minor: number };
}

const ROOTS = { uid: 0, gid: 0 };

function inRecordAs({ type = 0, mode = 0o600, mtime = 0, uid = 0, gid = 0, rdev }: MtreeEntry): Standing {
  return { mode: type | mode, mtime, uid, gid, ...(rdev === undefined ? {} : { rdev }) };
}

function onDiskAs(
  { info }: WalkedFile,
  before: PlacedEntry | undefined,
  record: MtreeEntry | undefined,
): Standing {
  return {
    mode: modeOf(Number(info.mode), before, record),
    mtime: timeOf(info, before, record),
    uid: Number(info.uid),
    gid: Number(info.gid),
    rdev: splitDevice(info.rdev),
  };
}

function contentOfFile({ place, info }: WalkedFile, target: string | undefined, numbers: Numbering): Content {
  if (target !== undefined) return contentOf(Buffer.from(target, 'latin1'));
  if (!info.isFile() || !numbers.holdsData || info.size === 0n) return contentOf(Buffer.alloc(0));
  return { size: Number(info.size), read: () => readLocalFile(place) };
}

function modeOf(mode: number, before: PlacedEntry | undefined, record: MtreeEntry | undefined): number {
  const type = mode & S_IFMT;
  const same =
    before !== undefined && (before.header.mode & S_IFMT) === type ? before.header.mode : undefined;
  if (isSymlink(mode)) return same ?? mode;
  if (record?.mode === undefined) return mode;
  const unpackedAs = ownModeOf(same ?? type | record.mode);
  return (mode & 0o7777) === unpackedAs ? type | record.mode : mode;
}

/** The time on disk; the record's where it was not touched since. */
function timeOf(info: BigIntStats, before: PlacedEntry | undefined, record: MtreeEntry | undefined): number {
  const time = wholeSeconds(info.mtimeNs);
  if (record?.mtime === undefined) return time;
  const then = before?.header.mtime ?? record.mtime;
  const same = before?.tar === undefined ? newcTime(time) === newcTime(then) : time === then;
  return same ? record.mtime : time;
}
