import type { BigIntStats } from 'node:fs';
import { lstat, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArchivePath } from '../../image/cpio/path.js';
import { walkDirectory } from '../../image/walk-directory.js';

/** What stood in a directory, and when it was looked at. */
export interface Baseline {
  readonly files: ReadonlyMap<ArchivePath, BigIntStats>;
  readonly at: bigint; // nanoseconds since the epoch, by the file system's clock; later than every change before it
}

/** Directories that something is mounted on while a command runs: what happens in them is not seen. */
const MOUNTED: ReadonlySet<string> = new Set(['dev', 'proc']);

/** What stands in `root` as the comparison sees it. */
export async function statsOf(root: string): Promise<Map<ArchivePath, BigIntStats>> {
  const files = new Map<ArchivePath, BigIntStats>();
  const skip = (path: ArchivePath): boolean => MOUNTED.has(path);
  for await (const { path, info } of walkDirectory(root, { unlock: true, skip })) files.set(path, info);
  return files;
}

/** File system clocks tick every 4 ms or so; a slower one than this is taken for stopped. */
const MAX_TICKS = 500;

/**
 * Looks at everything in `root`, and waits until the file system's clock shows a later time than on any of it, so that
 * a later change cannot keep a file's change time. `beside` is a directory on the same file system.
 */
export async function takeBaseline(root: string, beside: string): Promise<Baseline> {
  const files = await statsOf(root);
  let latest = 0n;
  for (const { ctimeNs } of files.values()) if (ctimeNs > latest) latest = ctimeNs;
  let at = await fileClock(beside);
  for (let tick = 1; at <= latest && tick < MAX_TICKS; tick++) {
    await sleep(2);
    at = await fileClock(beside);
  }
  return { files, at };
}

/** The time on the clock of the file system that the directory `beside` is on: nanoseconds since the epoch. */
export async function fileClock(beside: string): Promise<bigint> {
  const probe = join(beside, 'clock');
  await writeFile(probe, '');
  const { ctimeNs } = await lstat(probe, { bigint: true });
  await rm(probe);
  return ctimeNs;
}
