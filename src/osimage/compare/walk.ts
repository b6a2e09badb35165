import type { BigIntStats } from 'node:fs';
import { chmod, lstat, readdir } from 'node:fs/promises';
import { codeOf } from '../../errors.js';
import { isDirectory } from '../../image/cpio/header.js';
import { joinPath, ROOT, type ArchivePath } from '../../image/cpio/path.js';
import { unreadable } from '../../image/local-file.js';

/** Something that stands in a local directory. */
export interface FoundFile {
  readonly path: ArchivePath; // below the directory, which is ROOT
  readonly place: Buffer; // on disk, byte for byte
  readonly info: BigIntStats;
}

/**
 * Everything in `directory`, itself included, parents first; symbolic links are not followed. With `unlock`, directories
 * that this user owns and may not list are opened to it, after what they were was read. Throws ImageError UNREADABLE.
 */
export async function* walkDirectory(directory: string, unlock = false): AsyncGenerator<FoundFile> {
  const ahead: FoundFile[] = [await found(ROOT, Buffer.from(directory))];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    yield next;
    if (!isDirectory(Number(next.info.mode))) continue;
    for (const name of await namesIn(next.place, unlock)) {
      const place = Buffer.concat([next.place, Buffer.from('/'), name]);
      ahead.push(await found(joinPath(next.path, name.toString('latin1')), place));
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
