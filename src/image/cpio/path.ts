import { ImageError } from '../errors.js';

/**
 * A path inside an archive, one character per byte (latin-1), so that names that are not UTF-8 survive. Canonical:
 * no leading `/` or `./`, no empty or `.` component, no trailing `/`; the root itself is the empty string.
 */
export type ArchivePath = string & { readonly __archivePath: true };

/** The root directory of an archive. */
export const ROOT = '' as ArchivePath;

/**
 * The canonical form of a raw entry name (latin-1). `..` components are kept, and `isSafe` is false for them: no archive
 * with them is read, and no edit or unpacking follows them.
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

/**
 * The archive path that a person means by `text`, which is UTF-8 with any byte as `\xNN` and a backslash as `\\`: what
 * pathToText gives is read back as the same path. Throws ImageError UNSAFE_PATH for `..`, NUL and other escapes.
 */
export function pathFromText(text: string): ArchivePath {
  if (text.includes('\ufffd')) {
    throw new ImageError(
      'UNSAFE_PATH',
      `${JSON.stringify(text)}: the path is not UTF-8; write such bytes as \\xNN, as image files prints them`,
    );
  }
  return pathFromBytes(Buffer.from(text, 'utf8').toString('latin1'));
}

/** As pathFromText, of bytes (latin-1), such as a file's: they need not be UTF-8. */
export function pathFromBytes(bytes: string): ArchivePath {
  const shown = (): string => JSON.stringify(Buffer.from(bytes, 'latin1').toString('utf8'));
  const rawName = bytes.replace(/\\(x[0-9a-fA-F]{2}|\\)?/g, (_, escaped: string | undefined) => {
    if (escaped === '\\') return '\\';
    if (escaped !== undefined) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    throw new ImageError(
      'UNSAFE_PATH',
      `${shown()}: in a path a backslash is written \\\\, and any byte can be written \\xNN`,
    );
  });
  const path = canonicalPath(rawName);
  if (!isSafe(path)) {
    throw new ImageError(
      'UNSAFE_PATH',
      `${shown()}: a path inside an image may not hold ".." or NUL; write it from the image's root, like /etc/hello`,
    );
  }
  return path;
}

/**
 * `path` for a person, in the form that pathFromText reads: with a leading `/`, a backslash as `\\`, control characters
 * and, in a path that is not UTF-8, every byte above 0x7f as `\xNN`.
 */
export function pathToText(path: ArchivePath): string {
  const bytes = Buffer.from(path, 'latin1');
  const text = bytes.toString('utf8');
  const plain = !text.includes('\ufffd') && Buffer.from(text, 'utf8').equals(bytes);
  const escape = (char: string): string =>
    char === '\\' ? '\\\\' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return `/${plain ? text.replace(/[\x00-\x1f\x7f\\]/g, escape) : path.replace(/[\x00-\x1f\x7f-\xff\\]/g, escape)}`;
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
