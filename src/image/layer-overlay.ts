import { readlink } from 'node:fs/promises';
import type { BlobWriter } from '../store/types.js';
import { isDirectory, isRegular, isSymlink } from './cpio/header.js';
import { ROOT } from './cpio/path.js';
import { ImageError } from './errors.js';
import type { LayerFile } from './layer.js';
import { readLocalFile } from './local-file.js';
import { walkDirectory, type FoundFile as WalkedFile } from './walk-directory.js';

/**
 * Everything below the directory `root`, its files stored, in order of their paths' bytes. Hard links stay hard links.
 * Throws ImageError BAD_LAYER for what is neither file, directory nor symbolic link, UNREADABLE.
 */
export async function readOverlay(root: string, writer: BlobWriter): Promise<LayerFile[]> {
  const files: FoundFile[] = [];
  for await (const found of walkDirectory(root))
    if (found.path !== ROOT) files.push(await readFile(found, writer));
  return joinHardLinks(files.sort((a, b) => (a.path < b.path ? -1 : 1)));
}

/** A file, and what it has in common with its other names if it has any. */
type FoundFile = LayerFile & { readonly inode?: string };

async function readFile({ path, place, info }: WalkedFile, writer: BlobWriter): Promise<FoundFile> {
  const { nlink, dev, ino } = info;
  const [mode, size] = [Number(info.mode), Number(info.size)];
  if (isDirectory(mode)) return { path, mode, size: 0 };
  if (isSymlink(mode)) {
    const target = await readlink(place, { encoding: 'buffer' });
    return { path, mode, size: 0, target: target.toString('latin1') };
  }
  if (!isRegular(mode)) {
    throw new ImageError(
      'BAD_LAYER',
      `${place.toString()}: an overlay holds files, directories and symbolic links; remove this device, pipe or socket and list it in the layer's mtree file`,
    );
  }
  const inode = nlink > 1n ? { inode: `${dev}:${ino}` } : {};
  if (size === 0) return { path, mode, size, ...inode };
  const stored = await writer.putStream(readLocalFile(place));
  return { path, mode, size: stored.size, blob: stored.digest, ...inode };
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
