import type { PlacedEntry } from '../archive-index.js';
import { isRegular } from '../cpio/header.js';
import { canonicalPath, type ArchivePath } from '../cpio/path.js';
import type { ScannedEntry } from '../cpio/scanner.js';
import type { ArchiveTree } from '../tree.js';

/** A file whose bytes can be read as often as it takes, from the start each time. */
export interface ReadableFile {
  readonly size: number; // bytes
  readonly where: string; // how error messages name it
  read(): AsyncIterable<Buffer>;
}

/** What a file system holds: an archive's, an ISO's, a squashfs's. */
export interface Contents {
  readonly tree: ArchiveTree;
  /** The data of an entry of the tree; of a hard link, that of the inode. */
  read(entry: PlacedEntry): AsyncIterable<Buffer>;
}

/** An entry of the archive number `archive`, of those that stand one after another in what is read as one stream. */
export function placedEntry(entry: ScannedEntry, archive = 0): PlacedEntry {
  return { ...entry, path: canonicalPath(entry.rawName), at: entry.offset, frame: 0, segment: 0, archive };
}

/** The path that `text`, in UTF-8, names; `..` is what it is to a file system. */
export const pathOf = (text: string): ArchivePath =>
  canonicalPath(Buffer.from(text, 'utf8').toString('latin1'));

/** The regular file that `text`, a path, reaches in `contents`; undefined when none does. `where` names the contents. */
export function fileAt(contents: Contents, text: string, where: string): ReadableFile | undefined {
  const entry = contents.tree.seek(pathOf(text));
  if (entry === undefined || !isRegular(entry.header.mode)) return undefined;
  return {
    size: contents.tree.dataOf(entry).header.size,
    where: `${where}:${text}`,
    read: () => contents.read(entry),
  };
}
