import { statfs } from 'node:fs/promises';

/**
 * File systems whose reads come from the kernel’s page cache, and where not are counted for the process that waits for
 * them (`ru_inblock`), by their numbers in linux/magic.h. Not FUSE, NFS, CIFS, 9p and ZFS: they keep pages as they like, and
 * what they wait for is a server, or a thread of their own.
 */
const COUNTED: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // btrfs
  0xf2f52010, // F2FS
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlay, above one of these
]);

/** The type of the file system that a path is on, as statfs(2) says. */
export type FileSystemType = (path: string) => Promise<number>;

const typeOf: FileSystemType = async (path) => (await statfs(path)).type;

/** Whether reads of the open file `fd` are counted by its file system, as far as is known. */
export async function countsReads(fd: number, type: FileSystemType = typeOf): Promise<boolean> {
  try {
    return COUNTED.has(await type(`/proc/self/fd/${fd}`)); // also when its name is gone
  } catch {
    return false;
  }
}
