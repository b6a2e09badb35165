import type { BigIntStats } from 'node:fs';
import { chmod, lstat, readdir } from 'node:fs/promises';
import { codeOf } from '../errors.js';
import { isDirectory } from './cpio/header.js';
import { joinPath, ROOT, type ArchivePath } from './cpio/path.js';
import { unreadable } from './local-file.js';

/** Something that stands in a local directory; `info` is not a symbolic link's target's. */
export interface FoundFile {
  readonly path: ArchivePath; // below the directory, which is ROOT
  readonly place: Buffer; // on disk, byte for byte
  readonly info: BigIntStats;
}

/** What is special about a walk. */
interface WalkOptions {
  /** Opens directories that this user owns and may not list, after what they were was read. */
  readonly unlock?: boolean;
  /** Leaves out what stands at a path, with all below it. */
  readonly skip?: (path: ArchivePath) => boolean;
  /** Stays on the directory's file system: of what is mounted in it, only the mount points are found. */
  readonly stay?: boolean;
}

/**
 * Everything in `directory`, itself included, parents first; symbolic links are not followed. Throws ImageError
 * UNREADABLE.
 */
export async function* walkDirectory(
  directory: string,
  { unlock = false, skip = () => false, stay = false }: WalkOptions = {},
): AsyncGenerator<FoundFile> {
  const root = await found(ROOT, Buffer.from(directory));
  const ahead: FoundFile[] = [root];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    yield next;
    if (!isDirectory(Number(next.info.mode)) || (stay && next.info.dev !== root.info.dev)) continue;
    for (const name of await namesIn(next.place, unlock)) {
      const path = joinPath(next.path, name.toString('latin1'));
      if (!skip(path)) ahead.push(await found(path, Buffer.concat([next.place, Buffer.from('/'), name])));
    }
  }
}

async function found(path: ArchivePath, place: Buffer): Promise<FoundFile> {
  const info = await lstat(place, { bigint: true }).catch((error: unknown) => {
    throw unreadable(place, error);
  });
  return { path, place, info };
}

async function namesIn(place: Buffer, unlock: boolean): Promise<Buffer[]> {
  const list = (): Promise<Buffer[]> => readdir(place, { encoding: 'buffer' });
  try {
    return await list().catch(async (error: unknown) => {
      if (!unlock || codeOf(error) !== 'EACCES') throw error;
      await chmod(place, 0o700);
      return list();
    });
  } catch (error) {
    throw unreadable(place, error);
  }
}
