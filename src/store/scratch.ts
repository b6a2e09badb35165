import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../errors.js';
import { sha256 } from './digest.js';
import { fileError } from './errors.js';
import { isRunning, thisProcess } from './process.js';
import type { Timestamp } from './records.js';

/** `host-pid-started-random`: whose it is, so that another process can tell when it is nobody's any more. */
const NAME = /^([0-9a-f]{16})-(\d+)-(\d+)-\w+$/;

const WEEK = 7 * 86_400_000; // milliseconds

const hostName = (): string => sha256(thisProcess().host).slice(0, 16);

/**
 * Runs `body` with an empty directory below `root`, which only this user may enter and which is removed when `body`
 * ends. Its name begins with `prefix`. Throws StoreError when there is no space or no right to make it.
 */
export async function withScratch<T>(
  root: string,
  body: (directory: string) => Promise<T>,
  prefix = '',
): Promise<T> {
  const { pid, started } = thisProcess();
  let directory: string;
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    directory = await mkdtemp(join(root, `${prefix}${hostName()}-${pid}-${started}-`));
  } catch (error) {
    throw fileError(error, root);
  }
  try {
    return await body(directory);
  } finally {
    await removeTree(directory);
  }
}

/**
 * Removes the directories below `root` that nobody works in, of those whose names begin with `prefix`: whose process on
 * this host is gone, or that another host (or this one, before it was started again) made a week before `now`. Gives
 * back how many.
 */
export async function sweepScratch(root: string, now: Timestamp, prefix = ''): Promise<number> {
  let removed = 0;
  for (const name of await readdir(root).catch(() => [])) {
    if (!name.startsWith(prefix)) continue;
    const [, host, pid, started] = NAME.exec(name.slice(prefix.length)) ?? [];
    if (host === undefined || pid === undefined || started === undefined) continue;
    const directory = join(root, name);
    const idle =
      host === hostName()
        ? isRunning({ host: thisProcess().host, pid: Number(pid), started }) === false
        : (await stat(directory)).mtimeMs < now - WEEK;
    if (!idle) continue;
    await removeTree(directory);
    removed++;
  }
  return removed;
}

/** Removes a directory with all it holds, also what its owner closed to itself. */
async function removeTree(directory: string): Promise<void> {
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    await remove().catch(async (error: unknown) => {
      if (codeOf(error) !== 'EACCES' && codeOf(error) !== 'EPERM') throw error;
      await unlock(Buffer.from(directory));
      return remove();
    });
  } catch (error) {
    throw fileError(error, directory);
  }
}

async function unlock(directory: Buffer): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: 'buffer' }))
    if (entry.isDirectory()) await unlock(Buffer.concat([directory, Buffer.from('/'), entry.name]));
}
