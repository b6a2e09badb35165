import { open } from 'node:fs/promises';
import path from 'node:path';
import { codeOf, messageOf } from '../errors.js';
import { collect } from '../image/chunks.js';
import { RepoError } from './errors.js';

/** A repository or an install tree to read from, wherever it lies. */
export interface RepoFiles {
  /** How messages name it. */
  readonly where: string;
  /** The bytes of a file by its path in the tree, which is not percent-encoded; undefined when there is none. */
  read(href: string): Promise<AsyncIterable<Buffer> | undefined>;
  /** Where a file lies on this machine, for programs; undefined where files are read from elsewhere. */
  localPath?(href: string): string;
}

/** The tree in a directory. Reading throws RepoError NO_ACCESS where the file system refuses. */
export function filesBelow(dir: string): RepoFiles {
  return {
    where: dir,
    localPath: (href) => path.join(dir, href),
    async read(href) {
      const file = path.join(dir, href);
      try {
        const handle = await open(file);
        if ((await handle.stat()).isFile()) return handle.createReadStream();
        await handle.close();
        return undefined;
      } catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined;
        throw noAccess(file, error);
      }
    },
  };
}

/** Trees one over the other: a file is that of the first that has it. `where` is that of the last. */
export function layered(top: RepoFiles, below: RepoFiles): RepoFiles {
  return { where: below.where, read: async (href) => (await top.read(href)) ?? below.read(href) };
}

/** A small file of a tree as text, or undefined when there is none. */
export async function readText(files: RepoFiles, href: string): Promise<string | undefined> {
  const source = await files.read(href);
  return source === undefined ? undefined : (await collect(source)).toString('utf8');
}

/** The error for a file that the file system does not give, or that it does not take. */
export function noAccess(file: string, error: unknown): RepoError {
  if (error instanceof RepoError) return error;
  const code = codeOf(error) ?? '';
  const why = REFUSALS[code] ?? `${code === '' ? messageOf(error) : code}; make it accessible to this user`;
  return new RepoError('NO_ACCESS', `${file}: ${why}`, { cause: error });
}

/** What the file system says, and the mend. */
const REFUSALS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory; see how it is written, and where links lead',
  ENOTDIR: 'not a directory, or below what is none; name the directory',
  EISDIR: 'a directory; name a file',
  ELOOP: 'links that lead to themselves; remove them',
  EACCES: 'permission denied; make it accessible to this user',
  EPERM: 'permission denied; make it accessible to this user',
  EROFS: 'on a file system that is read-only; name a directory that can be written',
  ENOSPC: 'no room left on its disk; free some',
  EDQUOT: 'this user has no room left on its disk; free some',
  READ_ONLY: 'permission denied; make it accessible to this user', // StoreError, of the scratch directory
  DISK_FULL: 'no room left on its disk; free some',
};
