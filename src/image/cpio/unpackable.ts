import { ImageError } from '../errors.js';
import { isDirectory, isSymlink, MAX_NAME_SIZE } from './header.js';
import { canonicalPath, isSafe, pathToText, ROOT } from './path.js';

/** Longest path and target that the kernel takes, without its NUL: it passes over others (initramfs.c: do_header). */
const MAX_PATH = MAX_NAME_SIZE - 1;

/** What of an entry decides whether it can be unpacked. */
export interface NamedEntry {
  readonly rawName: string; // latin-1
  readonly mode: number; // st_mode
  readonly offset: number; // in the archive
  readonly target: number; // bytes in its target, of a symbolic link
}

/**
 * Throws ImageError, with the entry's name and offset, for one that nothing can unpack or that leads out of the directory
 * it is unpacked into: UNSAFE_PATH for `..` in its name, NAME_TOO_LONG, BAD_HEADER for a root that is no directory. A
 * leading `/` or `./` means nothing, as to the kernel, which unpacks at the root.
 */
export function requireUnpackable({ rawName, mode, offset, target }: NamedEntry): void {
  if (rawName.length > MAX_PATH) {
    const start = pathToText(canonicalPath(rawName.slice(0, 60)));
    throw new ImageError(
      'NAME_TOO_LONG',
      `${start}… at offset ${offset}: a name of ${rawName.length} bytes, and the kernel passes over all with more than ${MAX_PATH}; make the archive again with a shorter path`,
    );
  }
  const path = canonicalPath(rawName);
  const where = `${pathToText(path)} at offset ${offset}`;
  if (!isSafe(path)) {
    throw new ImageError(
      'UNSAFE_PATH',
      `${where}: a name with "..", which leads out of the directory that the archive is unpacked into; make the archive again without it, from within its root directory`,
    );
  }
  if (path === ROOT && !isDirectory(mode)) {
    throw new ImageError(
      'BAD_HEADER',
      `${where}: an entry for the root that is no directory, which nothing can unpack; make the archive again without it`,
    );
  }
  if (isSymlink(mode) && target > MAX_PATH) {
    throw new ImageError(
      'NAME_TOO_LONG',
      `${where}: a symbolic link to a path of ${target} bytes, and the kernel passes over all with more than ${MAX_PATH}; make the archive again with a shorter one`,
    );
  }
}
