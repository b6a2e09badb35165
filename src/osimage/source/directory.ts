import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../errors.js';
import { readLocalFile, unreadable } from '../../image/local-file.js';
import { OsimageError } from '../errors.js';
import { isOfStateless, isRootImage, ROOT_TREE } from '../family/xcat.js';
import { rootTree } from './root-tree.js';
import type { SourceFile } from './source.js';

const MAX_DEPTH = 32;

/**
 * The files below `directory`, in order of their paths. With `rootTrees: 'packed'`, the tree that xCAT makes a stateless
 * image of is one file, where it is not packed yet, and none where it is.
 * Symbolic links are followed as long as they stay inside.
 * Throws OsimageError BAD_SOURCE.
 */
export async function listDirectory(
  directory: string,
  { rootTrees }: { readonly rootTrees: 'packed' | 'as files' },
): Promise<SourceFile[]> {
  const root = await realpath(directory);
  const files: SourceFile[] = [];
  const walk = async (dir: string, below: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH)
      throw new OsimageError(
        'BAD_SOURCE',
        `${dir}: more than ${MAX_DEPTH} directories deep; a symbolic link leads in a circle, remove it`,
      );
    const entries = await readdir(dir, { withFileTypes: true }).catch((error: unknown) => {
      throw unreadable(dir, error);
    });
    const names = entries.map(({ name }) => name);
    const stateless = rootTrees === 'packed' && isOfStateless(names);
    for (const entry of entries) {
      const onDisk = path.join(dir, entry.name);
      if (stateless && entry.name === ROOT_TREE) {
        if (entry.isDirectory() && !names.some(isRootImage))
          files.push(await rootTree(onDisk, below + ROOT_TREE));
        continue;
      }
      const info = await stat(onDisk).catch((error: unknown) => {
        throw new OsimageError(
          'BAD_SOURCE',
          `${onDisk}: cannot be read (${codeOf(error) ?? 'unknown error'}); mend or remove it and import again`,
          { cause: error },
        );
      });
      if (entry.isSymbolicLink() && !(await realpath(onDisk)).startsWith(root + path.sep)) {
        throw new OsimageError(
          'BAD_SOURCE',
          `${onDisk}: a symbolic link that leaves ${root}; replace it by the file it points to`,
        );
      }
      if (info.isDirectory()) await walk(onDisk, `${below}${entry.name}/`, depth + 1);
      else if (info.isFile()) files.push(localFile(below + entry.name, onDisk, info.size));
    }
  };
  await walk(root, '', 0);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The file at `onDisk`, as `path` of the media. */
export function localFile(path: string, onDisk: string, size: number): SourceFile {
  return { path, size, where: onDisk, read: () => readLocalFile(onDisk) };
}
