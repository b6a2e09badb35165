import { chmod, lutimes, mkdir, open, readdir, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../../errors.js';
import { ImageError } from '../errors.js';
import { printable } from '../printable.js';
import { readNode, type IsoImage } from './reader.js';
import type { IsoNode } from './tree.js';

/** What extractIso wrote, and what it left out. */
export interface Extracted {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly bytes: number;
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

const PERMISSIONS = 0o1777; // owners are not restored, so neither are setuid and setgid bits

/**
 * Writes the tree of `image` into `directory`, which must be missing or empty: so nothing is overwritten and no link
 * is there to follow. Symbolic links are made last, modes of directories after that. Devices, fifos and sockets are
 * skipped and named in the result.
 */
export async function extractIso(
  image: IsoImage,
  directory: string,
  progress?: (path: string) => void,
): Promise<Extracted> {
  await requireEmpty(directory);
  const skipped: { path: string; reason: string }[] = [];
  const counts = { files: 0, directories: 0, symlinks: 0, bytes: 0 };
  const directories = image.nodes.filter((node) => node.kind === 'directory');
  const links = image.nodes.filter((node) => node.kind === 'symlink');
  for (const node of directories.toSorted((a, b) => depth(a) - depth(b))) {
    await within(node, () => mkdir(join(directory, node.path), { mode: 0o700 }));
    counts.directories++;
  }
  for (const node of image.nodes) {
    if (node.kind === 'directory' || node.kind === 'symlink') continue;
    if (node.kind !== 'file') {
      skipped.push({ path: node.path, reason: `is a ${node.kind}` });
      continue;
    }
    progress?.(node.path);
    await within(node, () => writeNode(image, node, join(directory, node.path)));
    counts.files++;
    counts.bytes += node.size;
  }
  for (const node of links) {
    if (node.target === undefined || node.target === '') {
      skipped.push({ path: node.path, reason: 'is a symbolic link without a readable target' });
      continue;
    }
    const { target } = node;
    const path = join(directory, node.path);
    await within(node, async () => {
      await symlink(target, path);
      if (node.mtime !== null) await lutimes(path, node.mtime, node.mtime);
    });
    counts.symlinks++;
  }
  for (const node of directories.toSorted((a, b) => depth(b) - depth(a))) {
    const path = join(directory, node.path);
    await within(node, async () => {
      if (node.mtime !== null) await utimes(path, node.mtime, node.mtime);
      await chmod(path, permissions(node, 0o755));
    });
  }
  return { ...counts, skipped };
}

async function requireEmpty(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    if ((await readdir(directory)).length === 0) return;
  } catch (error) {
    throw new ImageError(
      'EXTRACT_FAILED',
      `${directory} cannot be written: ${messageOf(error)}. Choose another directory.`,
      {
        cause: error,
      },
    );
  }
  throw new ImageError('EXTRACT_FAILED', `${directory} is not empty. Name a new or an empty directory.`);
}

async function writeNode(image: IsoImage, node: IsoNode, path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of readNode(image, node)) await file.writeFile(chunk);
    if (node.mtime !== null) await file.utimes(node.mtime, node.mtime);
    await file.chmod(permissions(node, 0o644));
  } finally {
    await file.close();
  }
}

async function within(node: IsoNode, action: () => Promise<void | string>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const mend =
      codeOf(error) === 'ENOSPC'
        ? 'Free some space or choose another directory.'
        : 'Choose another directory.';
    throw new ImageError(
      'EXTRACT_FAILED',
      `/${printable(node.path)} cannot be written: ${printable(messageOf(error))}. ${mend}`,
      {
        cause: error,
      },
    );
  }
}

function permissions(node: IsoNode, otherwise: number): number {
  return node.mode === null ? otherwise : node.mode & PERMISSIONS;
}

function depth(node: IsoNode): number {
  return node.path.split('/').length;
}
