import type { PlacedEntry } from '../image/archive-index.js';
import { isSymlink } from '../image/cpio/header.js';
import { pathFromText, pathToText, ROOT } from '../image/cpio/path.js';
import { printable } from '../image/printable.js';
import type { ArchiveTree } from '../image/tree.js';
import type { Context } from './context.js';
import { formatMode, textTable } from './table.js';

/** Prints what stands at and below `path` in `tree`. Throws ImageError NO_SUCH_ENTRY. */
export function printEntries(context: Context, tree: ArchiveTree, path: string): void {
  const wanted = pathFromText(path);
  const entries = tree.below(wanted === ROOT ? wanted : tree.find(wanted).path);
  context.print(
    entries.map((entry) => entryJson(tree, entry)),
    () => listing(tree, entries),
  );
}

/** An entry of `tree`, for --json. */
function entryJson(tree: ArchiveTree, entry: PlacedEntry): unknown {
  const { mode, uid, gid, mtime, nlink } = entry.header;
  return {
    path: pathToText(entry.path),
    mode: (mode & 0o7777).toString(8).padStart(4, '0'),
    type: formatMode(mode).slice(0, 1),
    uid,
    gid,
    size: tree.dataOf(entry).header.size,
    mtime,
    nlink,
    ...(entry.target === undefined ? {} : { target: Buffer.from(entry.target, 'latin1').toString('utf8') }),
  };
}

/** For people: mode, owner, size, time, path, as `ls -l` shows them. */
function listing(tree: ArchiveTree, entries: readonly PlacedEntry[]): string {
  const rows = entries.map((entry) => {
    const { mode, uid, gid, mtime } = entry.header;
    const target =
      isSymlink(mode) && entry.target !== undefined
        ? ` -> ${Buffer.from(entry.target, 'latin1').toString('utf8')}`
        : '';
    return [
      formatMode(mode),
      `${uid}:${gid}`,
      String(tree.dataOf(entry).header.size),
      new Date(mtime * 1000).toISOString().slice(0, 16).replace('T', ' '),
      printable(pathToText(entry.path) + target),
    ];
  });
  return textTable(['MODE', 'OWNER', 'SIZE', 'MODIFIED (UTC)', 'PATH'], rows);
}
