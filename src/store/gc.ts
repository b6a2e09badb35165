import { rm, stat } from 'node:fs/promises';
import { fileError } from './errors.js';
import type { StoreLayout } from './layout.js';
import { ProcessLease } from './lease.js';
import type { OpenFiles } from './open-files.js';
import { isRunning } from './process.js';
import type { GcResult, Timestamp } from './records.js';
import { packSize } from './pack-format.js';
import { isHalfDead, rewritePacks } from './rewrite.js';
import { sweepScratch } from './scratch.js';
import type { BlobIndex } from './state/blob-index.js';
import type { StateDatabase } from './state/database.js';
import {
  applyCollection,
  leaseIsOver,
  planCollection,
  type Collection,
  type KeptPack,
} from './state/garbage.js';

/** What a collection works on. */
export interface GcParts {
  readonly database: StateDatabase;
  readonly index: BlobIndex;
  readonly layout: StoreLayout;
  readonly files: OpenFiles;
  readonly now: () => Timestamp;
}

/**
 * Removes what no generation, no lease and no running write refers to. Rows go first, in one transaction with the
 * decision; then every pack file without a row; then packs more than half dead are rewritten. A crash in between leaves
 * files that the next collection removes.
 */
export async function collectGarbage(
  parts: GcParts,
  options: { dryRun: boolean; keep?: number },
): Promise<GcResult> {
  // Listed before rows are read: a file without a row was, at the time of the listing, not one about to get a row.
  const before = await listFiles(parts.layout);
  const collection = await parts.database.write(async (trx) => {
    const plan = await planCollection(trx, {
      keep: options.keep,
      isOver: (lease) => leaseIsOver(lease, parts.now(), isRunning),
    });
    if (!options.dryRun) await applyCollection(trx, plan);
    return plan;
  });
  const half = collection.keptPacks.filter(isHalfDead);
  const freed = await removeStrays(before, collection, options.dryRun);
  if (!options.dryRun) await sweepScratch(parts.layout.scratch, parts.now());
  const rewritten = options.dryRun ? expectRewrites(half) : await rewriteAll(parts, half);
  return {
    generations: collection.generations.length,
    blobs: collection.deadBlobs,
    files: freed.files + rewritten.files,
    bytes: freed.bytes + rewritten.bytes,
    held: collection.held,
  };
}

interface Freed {
  readonly files: number;
  readonly bytes: number;
}

async function listFiles(layout: StoreLayout): Promise<Map<string, string[]>> {
  try {
    return await layout.listPacks();
  } catch (error) {
    throw fileError(error, layout.root);
  }
}

async function removeStrays(
  files: ReadonlyMap<string, readonly string[]>,
  collection: Collection,
  dryRun: boolean,
): Promise<Freed> {
  const kept = new Set(collection.keptPacks.map((pack) => pack.name));
  let freed: Freed = { files: 0, bytes: 0 };
  for (const [name, paths] of files) {
    if (kept.has(name)) continue;
    for (const path of paths) {
      const bytes = await sizeOf(path);
      if (bytes === undefined) continue;
      if (!dryRun) await remove(path);
      freed = { files: freed.files + 1, bytes: freed.bytes + bytes };
    }
  }
  return freed;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw fileError(error, path);
  }
}

function expectRewrites(half: readonly KeptPack[]): Freed {
  const bytes = half.reduce(
    (sum, pack) => sum + pack.size - packSize(pack.tally?.liveBlobs ?? 0, pack.tally?.liveBytes ?? 0),
    0,
  );
  return { files: half.length, bytes };
}

async function rewriteAll(parts: GcParts, half: readonly KeptPack[]): Promise<Freed> {
  if (half.length === 0) return { files: 0, bytes: 0 };
  const lease = await ProcessLease.forWrite(parts.index, 'gc', parts.now);
  try {
    return await rewritePacks({ ...parts, lease }, half);
  } finally {
    await lease.end();
  }
}
