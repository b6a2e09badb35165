import { inodeOf, type PlacedEntry } from './archive-index.js';
import { isSymlink } from './cpio/header.js';
import { pathToText, ROOT, type ArchivePath } from './cpio/path.js';
import { ImageError } from './errors.js';
import { followLinks } from './follow-links.js';

/** An archive's entries by path, as a node sees them after unpacking: of duplicates, the last counts. */
export class ArchiveTree {
  readonly #nodes = new Map<ArchivePath, PlacedEntry>();
  readonly #data = new Map<string, PlacedEntry>(); // of hard links: the entry that carries the data

  constructor(entries: readonly PlacedEntry[]) {
    for (const entry of entries) {
      this.#nodes.set(entry.path, entry);
      const inode = inodeOf(entry);
      if (inode !== undefined && entry.header.size > 0) this.#data.set(inode, entry);
    }
  }

  /** Entries at and below `path` (the whole archive for the root), in order of their names' bytes. */
  below(path: ArchivePath): PlacedEntry[] {
    const prefix = `${path}/`;
    return [...this.#nodes.values()]
      .filter((entry) => path === ROOT || entry.path === path || entry.path.startsWith(prefix))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The entry that `path` reaches, all links followed. Throws ImageError NO_SUCH_ENTRY. */
  find(path: ArchivePath): PlacedEntry {
    return this.#walk(path, true);
  }

  /** The entry that `path` reaches, all links followed; undefined when none does. */
  seek(path: ArchivePath): PlacedEntry | undefined {
    const reached = this.#follow(path, true);
    return reached === undefined ? undefined : this.#nodes.get(reached);
  }

  /** The entry that `path` reaches, links among its parents followed: a link itself where it names one. Throws ImageError NO_SUCH_ENTRY. */
  reach(path: ArchivePath): PlacedEntry {
    return this.#walk(path, false);
  }

  /** The path that `path` reaches, all links followed, whether or not something stands there. Throws ImageError NO_SUCH_ENTRY for links that go round. */
  resolve(path: ArchivePath): ArchivePath {
    const reached = this.#follow(path, true);
    if (reached === undefined) throw missing(path);
    return reached;
  }

  #walk(path: ArchivePath, last: boolean): PlacedEntry {
    const reached = this.#follow(path, last);
    const found = reached === undefined ? undefined : this.#nodes.get(reached);
    if (found === undefined) throw missing(path);
    return found;
  }

  #follow(path: ArchivePath, last: boolean): ArchivePath | undefined {
    const targetOf = (at: ArchivePath): string | undefined => {
      const entry = this.#nodes.get(at);
      return entry !== undefined && isSymlink(entry.header.mode) ? entry.target : undefined;
    };
    return followLinks(path, { targetOf, last });
  }

  /** The entry that carries the data of `entry`: itself, or the last of its hard links. */
  dataOf(entry: PlacedEntry): PlacedEntry {
    const inode = inodeOf(entry);
    return (inode === undefined ? undefined : this.#data.get(inode)) ?? entry;
  }
}

const missing = (path: ArchivePath): ImageError =>
  new ImageError(
    'NO_SUCH_ENTRY',
    `${pathToText(path)} is not in the image; list what is with: rackboot image files`,
  );
