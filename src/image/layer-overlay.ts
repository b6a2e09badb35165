import { lstat, readdir, readlink } from 'node:fs/promises';
import type { BlobWriter } from '../store/types.js';
import { isDirectory, isRegular, isSymlink } from './cpio/header.js';
import { ImageError } from './errors.js';
import type { LayerFile } from './layer.js';
import { readLocalFile, unreadable } from './local-file.js';

/**
 * Everything below the directory `root`, its files stored, in order of their paths' bytes. Hard links stay hard links.
 * Throws ImageError BAD_LAYER for what is neither file, directory nor symbolic link, UNREADABLE.
 */
export async function readOverlay(root: string, writer: BlobWriter): Promise<LayerFile[]> {
  const found: FoundFile[] = [];
  const walk = async (dir: Buffer, below: string): Promise<void> => {
    const names = await readdir(dir, { encoding: 'buffer' }).catch((error: unknown) => {
      throw unreadable(dir, error);
    });
    for (const name of names) {
      const onDisk = Buffer.concat([dir, Buffer.from('/'), name]);
      const inArchive = below + name.toString('latin1');
      const file = await readFile(onDisk, inArchive, writer);
      found.push(file);
      if (isDirectory(file.mode)) await walk(onDisk, `${inArchive}/`);
    }
  };
  await walk(Buffer.from(root), '');
  return joinHardLinks(found.sort((a, b) => (a.path < b.path ? -1 : 1)));
}

/** A file, and what it has in common with its other names if it has any. */
type FoundFile = LayerFile & { readonly inode?: string };

async function readFile(onDisk: Buffer, inArchive: string, writer: BlobWriter): Promise<FoundFile> {
  const { mode, size, nlink, dev, ino } = await lstat(onDisk);
  if (isDirectory(mode)) return { path: inArchive, mode, size: 0 };
  if (isSymlink(mode)) {
    const target = await readlink(onDisk, { encoding: 'buffer' });
    return { path: inArchive, mode, size: 0, target: target.toString('latin1') };
  }
  if (!isRegular(mode)) {
    throw new ImageError(
      'BAD_LAYER',
      `${onDisk.toString()}: an overlay holds files, directories and symbolic links; remove this device, pipe or socket and list it in the layer's mtree file`,
    );
  }
  const inode = nlink > 1 ? { inode: `${dev}:${ino}` } : {};
  if (size === 0) return { path: inArchive, mode, size, ...inode };
  const stored = await writer.putStream(readLocalFile(onDisk));
  return { path: inArchive, mode, size: stored.size, blob: stored.digest, ...inode };
}

/** The files with every name of a file but its first marked as such. */
function joinHardLinks(found: readonly FoundFile[]): LayerFile[] {
  const first = new Map<string, string>();
  return found.map(({ inode, ...file }) => {
    if (inode === undefined) return file;
    const sameAs = first.get(inode);
    if (sameAs === undefined) {
      first.set(inode, file.path);
      return file;
    }
    return { path: file.path, mode: file.mode, size: file.size, sameAs };
  });
}
