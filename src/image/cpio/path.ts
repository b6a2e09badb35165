import { ImageError } from '../errors.js';

/**
 * A path inside an archive, one character per byte (latin-1), so that names that are not UTF-8 survive. Canonical:
 * no leading `/` or `./`, no empty or `.` component, no trailing `/`; the root itself is the empty string.
 */
export type ArchivePath = string & { readonly __archivePath: true };

/** The root directory of an archive. */
export const ROOT = '' as ArchivePath;

/**
 * The canonical form of a raw entry name (latin-1). `..` components are kept: an archive may hold them, but
 * `isSafe` is false for them and no edit or unpacking follows them.
 */
export function canonicalPath(rawName: string): ArchivePath {
  if (!/(^|\/)(\.?)(\/|$)/.test(rawName)) return rawName as ArchivePath;
  return rawName
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/') as ArchivePath;
}

/** Whether every component is a plain name: no `..` and no NUL. */
export function isSafe(path: ArchivePath): boolean {
  return !/(^|\/)\.\.(\/|$)/.test(path) && !path.includes('\0');
}

/** The archive path that a person or a file system means by `text` (UTF-8). Throws ImageError UNSAFE_PATH for `..` or NUL. */
export function pathFromText(text: string): ArchivePath {
  const path = canonicalPath(Buffer.from(text, 'utf8').toString('latin1'));
  if (!isSafe(path)) {
    throw new ImageError(
      'UNSAFE_PATH',
      `${JSON.stringify(text)}: a path inside an image may not hold ".." or NUL; write it from the image's root, like /etc/hello`,
    );
  }
  return path;
}

/** `path` for a person: with a leading `/`, bytes that are not UTF-8 and control characters as `\xNN`. */
export function pathToText(path: ArchivePath): string {
  const bytes = Buffer.from(path, 'latin1');
  const text = bytes.toString('utf8');
  const valid = Buffer.from(text, 'utf8').equals(bytes);
  const escape = (char: string): string => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return `/${valid ? text.replace(/[\x00-\x1f\x7f]/g, escape) : path.replace(/[\x00-\x1f\x7f-\xff]/g, escape)}`;
}

/** The directory that holds `path`; the root's parent is the root. */
export function parentOf(path: ArchivePath): ArchivePath {
  const slash = path.lastIndexOf('/');
  return (slash < 0 ? '' : path.slice(0, slash)) as ArchivePath;
}

/** `name` (one or more components) below `directory`, canonical. */
export function joinPath(directory: ArchivePath, name: string): ArchivePath {
  return canonicalPath(directory === '' ? name : `${directory}/${name}`);
}
