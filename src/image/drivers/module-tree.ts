import { joinPath, pathFromText, type ArchivePath } from '../cpio/path.js';
import { isDirectory, isRegular, isSymlink } from '../cpio/header.js';
import type { PlacedEntry } from '../archive-index.js';
import { ImageError } from '../errors.js';
import type { ArchivePreview } from '../preview.js';
import type { ArchiveTree } from '../tree.js';

/** A file of a kernel's module directory. */
export interface ModuleFile {
  readonly name: string; // path from the module directory, latin-1
  readonly entry: PlacedEntry; // the regular file, where `name` is a link
}

const MODULES = pathFromText('lib/modules');

/** The directories that /lib/modules of an image holds, by name: the releases of kernels it has modules for. */
export function kernelsOf(tree: ArchiveTree): string[] {
  const directory = tree.resolve(MODULES);
  const start = directory.length + 1;
  const kernels = new Set<string>();
  for (const { path, header } of tree.below(directory)) {
    const [kernel = '', ...rest] = path.slice(start).split('/');
    if (kernel !== '' && (rest.length > 0 || isDirectory(header.mode))) kernels.add(kernel);
  }
  return [...kernels].sort();
}

/** The directory that a node finds as /lib/modules/<kernel>. */
export function moduleDirectory(tree: ArchiveTree, kernel: string): ArchivePath {
  return tree.resolve(joinPath(MODULES, kernel));
}

/** Regular files of a kernel's module directory, and links to regular files, in order of their names. */
export function moduleFiles({ tree }: ArchivePreview, kernel: string): ModuleFile[] {
  const directory = moduleDirectory(tree, kernel);
  return tree.below(directory).flatMap((entry): ModuleFile[] => {
    const name = entry.path.slice(directory.length + 1);
    if (isRegular(entry.header.mode)) return [{ name, entry }];
    const reached = isSymlink(entry.header.mode) ? reachedBy(tree, entry.path) : undefined;
    return reached !== undefined && isRegular(reached.header.mode) ? [{ name, entry: reached }] : [];
  });
}

/** Whether something stands at `path`, links followed. */
export const holds = (tree: ArchiveTree, path: ArchivePath): boolean => reachedBy(tree, path) !== undefined;

function reachedBy(tree: ArchiveTree, path: ArchivePath): PlacedEntry | undefined {
  try {
    return tree.find(path);
  } catch (error) {
    if (error instanceof ImageError && error.code === 'NO_SUCH_ENTRY') return undefined;
    throw error;
  }
}
