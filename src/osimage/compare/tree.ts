import { readlink } from 'node:fs/promises';
import { inodeOf, type PlacedEntry } from '../../image/archive-index.js';
import { isRegular, isSymlink, S_IFBLK, S_IFCHR, S_IFMT } from '../../image/cpio/header.js';
import { ROOT, type ArchivePath } from '../../image/cpio/path.js';
import { splitDevice } from '../../image/device-number.js';
import { readLocalFile, wholeSeconds } from '../../image/local-file.js';
import { walkDirectory } from '../../image/walk-directory.js';
import type { OpenArchive } from '../contents.js';

/** A file as a comparison sees it, wherever it lies. */
export interface ComparedFile {
  readonly mode: number; // st_mode
  readonly uid: number;
  readonly gid: number;
  readonly size: number; // bytes of a regular file
  readonly target?: string; // of a symbolic link, latin-1
  readonly device?: string; // of a device, `major:minor`
  readonly mtime: number; // seconds
  readonly inode?: string; // of a regular file: what its names have in common, where it can have several
  /** Names the bytes without reading them: files with equal marks have equal data. */
  readonly mark?: string;
  /** The bytes of a regular file. */
  read(): AsyncIterable<Buffer>;
}

/** What a comparison has on one side. */
export type ComparedTree = ReadonlyMap<ArchivePath, ComparedFile>;

/** An archive, of duplicates the last. */
export function treeOfArchive(archive: OpenArchive): ComparedTree {
  return new Map(archive.entries.map((entry) => [entry.path, fileOfEntry(archive, entry)]));
}

function fileOfEntry(archive: OpenArchive, entry: PlacedEntry): ComparedFile {
  const { mode, uid, gid, mtime, rdevMajor, rdevMinor } = entry.header;
  const inode = isRegular(mode) ? inodeOf(entry) : undefined;
  return {
    mode,
    uid,
    gid,
    mtime,
    ...(inode === undefined ? {} : { inode }),
    size: isRegular(mode) ? archive.tree.dataOf(entry).header.size : 0,
    ...(entry.target === undefined ? {} : { target: entry.target }),
    ...(isDevice(mode) ? { device: `${rdevMajor}:${rdevMinor}` } : {}),
    ...(isRegular(mode) ? { mark: archive.mark(entry) } : {}),
    read: () => archive.read(entry),
  };
}

/** What stands below a local directory. Throws ImageError UNREADABLE. */
export async function treeOfDirectory(directory: string): Promise<ComparedTree> {
  const tree = new Map<ArchivePath, ComparedFile>();
  for await (const { path, place, info } of walkDirectory(directory)) {
    if (path === ROOT) continue;
    const mode = Number(info.mode);
    tree.set(path, {
      mode,
      uid: Number(info.uid),
      gid: Number(info.gid),
      mtime: wholeSeconds(info.mtimeNs),
      ...(info.nlink > 1n && info.isFile() ? { inode: `${info.dev}:${info.ino}` } : {}),
      size: isRegular(mode) ? Number(info.size) : 0,
      ...(isSymlink(mode)
        ? { target: (await readlink(place, { encoding: 'buffer' })).toString('latin1') }
        : {}),
      ...(isDevice(mode) ? { device: deviceText(info.rdev) } : {}),
      read: () => readLocalFile(place),
    });
  }
  return tree;
}

const isDevice = (mode: number): boolean => [S_IFCHR, S_IFBLK].includes(mode & S_IFMT);

/** `major:minor` of a device number as Linux composes it (makedev(3)). */
function deviceText(rdev: bigint): string {
  const { major, minor } = splitDevice(rdev);
  return `${major}:${minor}`;
}
