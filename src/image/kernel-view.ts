import type { PlacedEntry } from './archive-index.js';
import { isDirectory, isRegular, isSymlink, S_IFMT } from './cpio/header.js';
import { parentOf, ROOT, type ArchivePath } from './cpio/path.js';

/** What the kernel makes of a cpio archive in which several entries have one path. */
export interface KernelView {
  /** What stands in the end, one entry a path, in order of what made it first. */
  readonly entries: readonly PlacedEntry[];
  /** Places in the list of entries that leave nothing: nothing could be made there. */
  readonly lost: ReadonlySet<number>;
  /** Files that were written through one of their names: that name, and the others. */
  readonly written: readonly { readonly path: ArchivePath; readonly others: readonly ArchivePath[] }[];
}

/**
 * What stands once the kernel has unpacked `entries` one after another (initramfs.c: do_name, clean_path, maybe_link);
 * undefined where no path comes twice, or the archive is none of cpio, so that every entry stands as it is.
 */
export function kernelView(entries: readonly PlacedEntry[]): KernelView | undefined {
  if (entries[0]?.tar !== undefined) return undefined;
  if (new Set(entries.map(({ path }) => path)).size === entries.length) return undefined;
  const unpacking = new Unpacking();
  entries.forEach((entry, at) => unpacking.take(entry, at));
  return unpacking.view(entries);
}

/** A file as unpacking has left it. */
interface File {
  readonly type: number; // of st_mode
  header: PlacedEntry['header']; // the latest that gave it its owner, permissions and time
  data: PlacedEntry | undefined; // the entry that it has its contents from; undefined for none
  readonly made: PlacedEntry; // by what: a device's number, a link's target
  readonly names: Set<ArchivePath>;
  through?: ArchivePath; // the name that it was written through last, when it had others
}

class Unpacking {
  readonly #files = new Map<ArchivePath, File>();
  readonly #latest = new Map<ArchivePath, PlacedEntry>(); // of each path, the entry that named it
  readonly #held = new Map<ArchivePath, number>(); // of each directory, how many names it holds
  readonly #links = new Map<string, ArchivePath>(); // of files with several names, the first one
  readonly #lost = new Set<number>();
  #archive = 0;

  take(entry: PlacedEntry, at: number): void {
    if (entry.archive !== this.#archive) this.#links.clear(); // free_hash
    this.#archive = entry.archive;
    if (!this.#make(entry)) this.#lost.add(at);
    else this.#latest.set(entry.path, entry);
  }

  view(entries: readonly PlacedEntry[]): KernelView {
    let ino = entries.reduce((highest, { header }) => Math.max(highest, header.ino), 0);
    const inodes = new Map<File, number>();
    const numberOf = (file: File): number => {
      const known = inodes.get(file) ?? ++ino;
      inodes.set(file, known);
      return known;
    };
    const ownOf = (path: ArchivePath, { made }: File): PlacedEntry => this.#latest.get(path) ?? made;
    const kept = new Set([...this.#files].map(([path, file]) => ownOf(path, file)));
    const standing = [...this.#files].map(([path, file]) => {
      const own = ownOf(path, file);
      return isAltered(file, own, kept) ? standingEntry(path, file, own, numberOf(file)) : own;
    });
    const written = [...new Set(this.#files.values())].flatMap(({ through: path, names }) =>
      path === undefined || !names.has(path) || names.size < 2
        ? []
        : [{ path, others: [...names].filter((name) => name !== path) }],
    );
    return { entries: standing, lost: this.#lost, written };
  }

  /** Whether an entry leaves something. */
  #make(entry: PlacedEntry): boolean {
    const { path, header } = entry;
    const type = header.mode & S_IFMT;
    const standing = this.#files.get(path);
    if (isSymlink(header.mode)) return this.#remove(path) ? this.#add(entry) : this.#own(path, header, false);
    if (standing !== undefined && standing.type !== type) this.#remove(path);
    if (isDirectory(header.mode))
      return this.#files.has(path) ? this.#own(path, header, true) : this.#add(entry);
    const linked = this.#link(entry);
    if (linked === 'failed') return false;
    const now = this.#files.get(path);
    if (!isRegular(header.mode)) {
      if (linked === 'linked') return true;
      if (now === undefined) return !this.#holds(path) && this.#add(entry);
      return this.#own(path, header, true);
    }
    if (now === undefined) return !this.#holds(path) && this.#add(entry);
    if (isDirectory(now.type)) return false; // open(2): EISDIR
    now.header = header;
    if (linked !== 'linked' || header.size > 0) now.data = header.size > 0 ? entry : undefined;
    if (linked !== 'linked') now.through = path;
    return true;
  }

  /** Makes `entry` another name of a file, when it says that it is one (maybe_link). */
  #link({ path, header }: PlacedEntry): 'linked' | 'failed' | 'first' {
    if (header.nlink < 2) return 'first';
    const key = [header.devMajor, header.devMinor, header.ino, header.mode & S_IFMT].join(':');
    const first = this.#links.get(key);
    if (first === undefined) {
      this.#links.set(key, path);
      return 'first';
    }
    const removed = this.#remove(path);
    const file = this.#files.get(first);
    if (!removed || file === undefined || isDirectory(file.type)) return 'failed';
    this.#place(path, file);
    return 'linked';
  }

  #add(entry: PlacedEntry): boolean {
    const { path, header } = entry;
    const data = header.size > 0 ? entry : undefined;
    this.#place(path, { type: header.mode & S_IFMT, header, data, made: entry, names: new Set() });
    return true;
  }

  #place(path: ArchivePath, file: File): void {
    file.names.add(path);
    this.#files.set(path, file);
    if (path !== ROOT) this.#held.set(parentOf(path), (this.#held.get(parentOf(path)) ?? 0) + 1);
  }

  #holds(path: ArchivePath): boolean {
    return (this.#held.get(path) ?? 0) > 0;
  }

  /** Takes away what stands at `path` (clean_path); false where a directory with something in it stays. */
  #remove(path: ArchivePath): boolean {
    const file = this.#files.get(path);
    if (this.#holds(path)) return false;
    if (file === undefined) return path !== ROOT;
    file.names.delete(path);
    this.#files.delete(path);
    this.#latest.delete(path);
    if (path !== ROOT) this.#held.set(parentOf(path), (this.#held.get(parentOf(path)) ?? 1) - 1);
    return true;
  }

  /** Gives what stands at `path` another owner and time, and permissions where `chmod`; leaves nothing of its own there. */
  #own(path: ArchivePath, { mode, uid, gid, mtime }: PlacedEntry['header'], chmod: boolean): boolean {
    const file = this.#files.get(path);
    if (file === undefined) return false;
    const { header } = file;
    const permissions = chmod ? (header.mode & S_IFMT) | (mode & 0o7777) : header.mode;
    file.header = { ...header, mode: permissions, uid, gid, mtime };
    return file.type === (mode & S_IFMT);
  }
}

/** Whether the entry that named a file last, and those that are `kept`, do not say what became of it. */
function isAltered(file: File, own: PlacedEntry, kept: ReadonlySet<PlacedEntry>): boolean {
  if (file.through !== undefined && (file.names.size > 1 || own !== file.data)) return true;
  if (file.data !== undefined && !kept.has(file.data)) return true;
  if (file.header === own.header || file.names.size > 1) return false;
  const fields = ['mode', 'uid', 'gid', 'mtime', 'rdevMajor', 'rdevMinor'] as const;
  return fields.some((field) => headerOf(file)[field] !== own.header[field]);
}

/** The owner, permissions and time of the latest entry, and of the first what a device is. */
function headerOf({ header, made }: File): PlacedEntry['header'] {
  const { rdevMajor, rdevMinor } = made.header;
  return { ...header, rdevMajor, rdevMinor };
}

/** What stands at `path`, as an entry: each name of a file has its contents. */
function standingEntry(path: ArchivePath, file: File, own: PlacedEntry, ino: number): PlacedEntry {
  const holder = file.data ?? own;
  const header = {
    ...headerOf(file),
    ino,
    nlink: isDirectory(file.type) ? own.header.nlink : file.names.size,
    size: file.data?.header.size ?? 0,
    nameSize: own.header.nameSize,
  };
  const { target: _target, ...rest } = holder;
  const { target } = file.made;
  return { ...rest, path, rawName: own.rawName, header, ...(target === undefined ? {} : { target }) };
}
