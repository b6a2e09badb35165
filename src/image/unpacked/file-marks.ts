import type { BigIntStats } from 'node:fs';
import zlib from 'node:zlib';
import type { ArchivePath } from '../cpio/path.js';

/**
 * What a regular file on disk is told by, without reading it: its inode, when it was changed and written, its size. While
 * these stay, so do its bytes (inode(7): the change time cannot be set).
 */
export type FileMark = string;

/** The mark of a file with `info`. */
export const markOf = ({ ino, ctimeNs, mtimeNs, size }: BigIntStats): FileMark =>
  [ino, ctimeNs, mtimeNs, size].map((number) => number.toString(36)).join('.');

/** The files of a directory that an archive was made of, by path, as they were told then. */
export type FileMarks = ReadonlyMap<ArchivePath, FileMark>;

/**
 * Whether a file with `info` can be told by its mark from what becomes of it after the time `clock` (nanoseconds since the
 * epoch, by its file system): a change in the tick in which it was changed last leaves the time as it is.
 */
export const isTellable = ({ ctimeNs }: BigIntStats, clock: bigint): boolean => ctimeNs < clock;

/** Marks as the bytes of a blob. */
export function encodeMarks(marks: FileMarks): Buffer {
  return zlib.deflateRawSync(Buffer.from(JSON.stringify([...marks])), { level: 6 });
}

/** The marks that `encodeMarks` wrote. */
export function decodeMarks(bytes: Buffer): FileMarks {
  const rows = JSON.parse(zlib.inflateRawSync(bytes).toString('utf8')) as [ArchivePath, FileMark][];
  return new Map(rows);
}
