import type { PlacedEntry } from './archive-index.js';
import { isDirectory, S_IFDIR, type CpioMagic } from './cpio/header.js';
import { ROOT, type ArchivePath } from './cpio/path.js';
import { contentOf, type Edit } from './edit.js';
import type { EntryDraft, PlannedEntry } from './entry-draft.js';

/** Makes the entries that edits add to an archive, in the way of those that it holds. */
export class NewEntries {
  readonly #old: EntryDraft;
  readonly #mtime: number;
  readonly #prefix: string;
  readonly #magic: CpioMagic;

  /** New entries of an archive with `entries`; their time is `mtime`, in seconds, where an edit says no other. */
  constructor(entries: readonly PlacedEntry[], old: EntryDraft, mtime: number) {
    this.#old = old;
    this.#mtime = mtime;
    const last = entries.at(-1);
    this.#magic = last?.header.magic ?? '070701';
    this.#prefix = prefixOf(entries.filter(({ frame }) => frame === last?.frame));
  }

  /** The name that what stands at `path` has in the archive. */
  nameOf(path: ArchivePath): string {
    return path === ROOT ? '.' : this.#prefix + path;
  }

  /** What `edit` puts, at `path`. */
  put(path: ArchivePath, edit: Omit<Extract<Edit, { op: 'put' }>, 'op' | 'path' | 'from'>): PlannedEntry {
    return {
      rawName: this.nameOf(path),
      data: { kind: 'new', content: edit.content },
      header: {
        magic: this.#magic,
        ino: this.#old.takeInode(),
        mode: edit.mode,
        uid: edit.uid,
        gid: edit.gid,
        nlink: isDirectory(edit.mode) ? 2 : 1,
        mtime: edit.mtime ?? this.#mtime,
        size: edit.content.size,
        devMajor: 0,
        devMinor: 0,
        rdevMajor: edit.rdev?.major ?? 0,
        rdevMinor: edit.rdev?.minor ?? 0,
        check: 0,
      },
      ...(edit.target === undefined ? {} : { target: edit.target }),
    };
  }

  /** A directory that something is put into. */
  directory(path: ArchivePath): PlannedEntry {
    return this.put(path, { mode: S_IFDIR | 0o755, uid: 0, gid: 0, content: contentOf(Buffer.alloc(0)) });
  }
}

/** What new names begin with: `./` where most names of `entries` do. */
export function prefixOf(entries: readonly Pick<PlacedEntry, 'rawName'>[]): '' | './' {
  const dotted = entries.filter(({ rawName }) => rawName.startsWith('./')).length;
  return dotted * 2 > entries.length ? './' : '';
}
