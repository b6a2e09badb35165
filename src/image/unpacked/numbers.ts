import { inodeOf, type PlacedEntry } from '../archive-index.js';
import { isRegular } from '../cpio/header.js';
import type { ArchivePath } from '../cpio/path.js';
import type { FoundFile as WalkedFile } from '../walk-directory.js';

/** What links an entry to others of its file. */
export interface Numbering {
  readonly ino: number;
  readonly nlink: number;
  readonly holdsData: boolean;
}

/** Inode numbers: those of the base where its files have the same names still, new ones for all others. */
export class Numbers {
  readonly #placed: ReadonlyMap<ArchivePath, PlacedEntry>;
  readonly #groups = new Map<ArchivePath, readonly ArchivePath[]>(); // names of one file on disk, in order
  readonly #baseGroups = new Map<string, ArchivePath[]>();
  readonly #given = new Map<readonly ArchivePath[], number>();
  readonly #used = new Set<number>();
  #next = 1;

  constructor(
    order: readonly ArchivePath[],
    found: ReadonlyMap<ArchivePath, WalkedFile>,
    placed: ReadonlyMap<ArchivePath, PlacedEntry>,
  ) {
    this.#placed = placed;
    const byInode = new Map<string, ArchivePath[]>();
    for (const path of order) {
      const info = found.get(path)?.info;
      const key = info?.isFile() === true && info.nlink > 1n ? `${info.dev}:${info.ino}` : path;
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
