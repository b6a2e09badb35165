import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { isDirectory, requireFileSize, S_IFDIR, S_IFREG } from '../../../image/cpio/header.js';
import { canonicalPath, pathToText, type ArchivePath } from '../../../image/cpio/path.js';
import { contentOf, type Edit } from '../../../image/edit.js';
import { findPattern } from '../../../image/find-pattern.js';
import { readLocalFile, unreadable, wholeSeconds } from '../../../image/local-file.js';
import { OsimageError } from '../../errors.js';

/** How local files come into an image. */
export interface LocalRules {
  readonly from: string; // where it was asked for, for errors
  readonly owners: 'kept' | 'root';
}

const MAX_DEPTH = 32;

/** The path of the image that the name `text` is, where a backslash is one as in names of files. */
export const imagePath = (text: string): ArchivePath =>
  canonicalPath(Buffer.from(text, 'utf8').toString('latin1'));

/**
 * The edits that put the local file or directory at `source` to `target`, an absolute path of the image: with its
 * permissions and times, links on disk followed. Throws ImageError UNREADABLE, OsimageError BAD_SOURCE for what is
 * neither file nor directory.
 */
export async function putLocal(
  source: string,
  target: string,
  rules: LocalRules,
  depth = 0,
): Promise<Edit[]> {
  const info = await stat(source, { bigint: true }).catch((error: unknown) => {
    throw unreadable(source, error);
  });
  const at = imagePath(target);
  const stands = {
    path: at,
    ...(rules.owners === 'root' ? { uid: 0, gid: 0 } : { uid: Number(info.uid), gid: Number(info.gid) }),
    mtime: wholeSeconds(info.mtimeNs),
    from: rules.from,
  };
  const permissions = Number(info.mode) & 0o7777;
  if (info.isDirectory()) {
    if (depth > MAX_DEPTH) {
      throw new OsimageError(
        'BAD_SOURCE',
        `${source}: more than ${MAX_DEPTH} directories deep; a symbolic link leads in a circle, remove it`,
      );
    }
    const edits: Edit[] = [
      { op: 'put', ...stands, mode: S_IFDIR | permissions, content: contentOf(Buffer.alloc(0)) },
    ];
    const names = (await readdir(source)).sort();
    for (const name of names)
      edits.push(...(await putLocal(path.join(source, name), `${target}/${name}`, rules, depth + 1)));
    return edits;
  }
  if (!info.isFile())
    throw new OsimageError(
      'BAD_SOURCE',
      `${source}: neither a file nor a directory; take it away from there`,
    );
  const size = Number(info.size);
  requireFileSize(size, pathToText(at));
  const content = size === 0 ? contentOf(Buffer.alloc(0)) : { size, read: () => readLocalFile(source) };
  return [{ op: 'put', ...stands, mode: S_IFREG | permissions, content }];
}

/** Whether a path is a pattern: sh(1), "Pathname Expansion". */
export const isPattern = (text: string): boolean => /[*?[]/.test(text);

/** The local paths that an absolute `pattern` means, in order; names with a leading dot only where it has one too. */
export async function expandPattern(pattern: string): Promise<string[]> {
  let found = ['/'];
  for (const part of pattern.split('/').filter((name) => name !== '')) {
    const matches = findPattern(Buffer.from(part).toString('latin1'));
    const next: string[] = [];
    for (const directory of found) {
      if (!isPattern(part)) next.push(path.join(directory, part));
      else {
        const names = await readdir(directory).catch(() => []);
        next.push(
          ...names
            .filter((name) => part.startsWith('.') || !name.startsWith('.'))
            .filter((name) => matches(Buffer.from(name).toString('latin1')))
            .sort()
            .map((name) => path.join(directory, name)),
        );
      }
    }
    found = next;
  }
  const there = await Promise.all(
    found.map((place) =>
      stat(place).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.filter((_place, at) => there[at]);
}

/** Whether `path` is a directory on this machine. */
export async function isLocalDirectory(place: string): Promise<boolean> {
  const info = await stat(place).catch(() => undefined);
  return info !== undefined && isDirectory(info.mode);
}
