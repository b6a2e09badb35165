import { mkdir, realpath, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import pLimit from 'p-limit';
import { RepoError } from '../errors.js';
import { noAccess } from '../files.js';
import { exclusion } from './exclusion.js';
import { fetchFile, PARTIAL } from './fetch-file.js';
import { planMirror, type WantedFile } from './plan.js';
import { receiversFor } from './receivers.js';
import type { MirrorSource } from './source.js';
import { readState, writeState, type MirrorState } from './state.js';

export interface MirrorRequest {
  readonly source: MirrorSource;
  readonly dir: string;
  /** Regular expressions over paths below the source, which begin with a slash. */
  readonly exclude: readonly string[];
  readonly extraPackages: readonly string[];
  readonly jobs: number; // files fetched at one time
  readonly onProgress?: (what: string, done: number, total: number) => void; // bytes
}

export interface MirrorReport {
  readonly repositories: readonly string[]; // directories below the destination; empty for itself
  readonly files: number;
  readonly fetched: number; // files
  readonly bytes: number; // that came
  readonly removed: readonly string[];
  readonly leftOut: number; // packages that are listed and excluded
  readonly unlisted: number; // packages of the source that no metadata lists
}

/** Below it, one thread fetches it before others are there. */
const WORTHWHILE = 16 << 20; // bytes

const PHASES = ['package', 'other', 'metadata', 'index'] as const;

/**
 * Makes a directory a mirror of a source, or brings it up to date. Every package and metadata file is what the metadata says;
 * lists come after what they list, so that the mirror is whole at any time. Files of the mirror that vanished from the source
 * go, others in the directory stay. Throws RepoError NOT_A_MIRROR for the mirror of another source and for a
 * directory within the source, BAD_SOURCE, FETCH_FAILED,
 * NO_ACCESS, UNRESOLVED.
 */
export async function mirrorTree(request: MirrorRequest): Promise<MirrorReport> {
  const { source, dir, jobs } = request;
  const { where } = source.files;
  const local = source.files.localPath?.('.');
  if (local !== undefined) await requireApart(local, dir);
  const state = await readState(dir);
  if (state !== undefined && state.source !== where) {
    throw new RepoError(
      'NOT_A_MIRROR',
      `${dir}: a mirror of ${state.source}; choose another directory for ${where}, or remove .rackboot-mirror.json there`,
    );
  }
  const leavesOut = exclusion(request.exclude);
  const plan = await planMirror({ source, leavesOut, extraPackages: request.extraPackages });
  await mkdir(path.join(dir, PARTIAL), { recursive: true }).catch((error: unknown) => {
    throw noAccess(dir, error);
  });
  const before = state?.files ?? {};
  const after: MirrorState['files'] = {};
  const exclude = [...request.exclude];
  const write = (files: MirrorState['files']): Promise<void> =>
    writeState(dir, { version: 1, source: where, exclude, files });
  // What comes is the mirror’s from now on, also when this run ends early.
  const planned = plan.files.map(({ href }) => [href, before[href] ?? { size: -1, time: 0 }] as const);
  await write({ ...before, ...Object.fromEntries(planned) });

  let [fetched, bytes, done] = [0, 0, 0];
  const total = plan.files.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const missing = plan.files
    .filter(({ href, sha256 }) => sha256 !== undefined && before[href]?.sha256 !== sha256)
    .reduce((sum, { size }) => sum + (size ?? 0), 0);
  const receivers = missing < WORTHWHILE ? undefined : receiversFor(source.urlOf(''), jobs);
  const bring = async (wanted: WantedFile): Promise<void> => {
    const result = await fetchFile(source, dir, wanted, before[wanted.href], receivers);
    if (result.kind === 'missing') return;
    after[wanted.href] = result.state;
    done += wanted.size ?? 0;
    bytes += result.bytes;
    if (result.kind === 'fetched') fetched++;
    request.onProgress?.(wanted.href, done, total);
  };
  try {
    for (const phase of PHASES)
      await inParallel(
        plan.files.filter((file) => file.phase === phase),
        jobs,
        bring,
      );
  } finally {
    await receivers?.stop();
  }

  const removed = Object.keys(before)
    .filter((href) => after[href] === undefined)
    .sort();
  for (const href of removed) await remove(dir, href);
  await write(after);
  await rm(path.join(dir, PARTIAL), { recursive: true, force: true });
  const { repositories, leftOut, unlisted } = plan;
  return {
    repositories: repositories.map((prefix) => prefix.replace(/\/$/, '')),
    files: Object.keys(after).length,
    fetched,
    bytes,
    removed,
    leftOut,
    unlisted,
  };
}

/** A mirror within its source would be mirrored itself, each time one deeper. Links on the way do not hide it. */
async function requireApart(source: string, dir: string): Promise<void> {
  const between = path.relative(await realPathOf(source), await realPathOf(dir));
  if (between === '..' || between.startsWith('../') || path.isAbsolute(between)) return;
  throw new RepoError(
    'NOT_A_MIRROR',
    `${dir}: lies in what is to be mirrored, ${source}; choose a directory outside of it`,
  );
}

/** A path without links, as far as it is there. */
async function realPathOf(place: string): Promise<string> {
  const parent = path.dirname(place);
  return realpath(place).catch(async () =>
    parent === place ? place : path.join(await realPathOf(parent), path.basename(place)),
  );
}

/** Runs `body` for every item, `jobs` at a time; after the first failure no other is begun. */
async function inParallel<T>(
  items: readonly T[],
  jobs: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  const limit = pLimit(jobs);
  let failed = false;
  const results = await Promise.allSettled(
    items.map((item) =>
      limit(async () => {
        if (failed) return;
        await body(item).catch((error: unknown) => {
          failed = true;
          throw error;
        });
      }),
    ),
  );
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

/** Removes a file, and the directories that it leaves empty. */
async function remove(dir: string, href: string): Promise<void> {
  await rm(path.join(dir, href), { force: true }).catch((error: unknown) => {
    throw noAccess(path.join(dir, href), error);
  });
  for (let parent = path.posix.dirname(href); parent !== '.'; parent = path.posix.dirname(parent)) {
    const isGone = await rmdir(path.join(dir, parent)).then(
      () => true,
      () => false,
    );
    if (!isGone) return;
  }
}
