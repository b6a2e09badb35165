import { createHash } from 'node:crypto';
import { StoreError } from './errors.js';
import type { StoreLayout } from './layout.js';
import type { ProcessLease } from './lease.js';
import type { OpenFiles } from './open-files.js';
import { packSize, type PackEntry } from './pack-format.js';
import { PackWriter } from './pack-writer.js';
import type { BlobIndex } from './state/blob-index.js';
import type { KeptPack } from './state/garbage.js';
import { defaultLimits } from './write-session.js';

const pageSize = 1000;

/** What rewriting works on. */
export interface RewriteParts {
  readonly index: BlobIndex;
  readonly layout: StoreLayout;
  readonly files: OpenFiles;
  readonly lease: ProcessLease;
}

interface Freed {
  readonly files: number;
  readonly bytes: number;
}

/** Whether more than half of a pack's file is neither a live blob nor the index of one. */
export function isHalfDead({ size, tally }: KeptPack): boolean {
  return tally !== undefined && packSize(tally.liveBlobs, tally.liveBytes) * 2 < size;
}

/**
 * Copies what still lives in `packs` together into new packs and removes the old ones. A pack in which a blob has
 * changed is left as it is, for `store verify` to tell about. Stops early, without an error, when the disk is full.
 */
export async function rewritePacks(parts: RewriteParts, packs: readonly KeptPack[]): Promise<Freed> {
  const freed = { files: 0, bytes: 0 };
  try {
    for (const batch of batchesOf(packs)) {
      const { files, bytes } = await rewriteBatch(parts, batch);
      freed.files += files;
      freed.bytes += bytes;
    }
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'DISK_FULL') throw error;
  }
  return freed;
}

/** Packs whose live blobs fit one new pack. */
function* batchesOf(packs: readonly KeptPack[]): Generator<KeptPack[]> {
  let batch: KeptPack[] = [];
  let bytes = 0;
  let blobs = 0;
  for (const pack of packs) {
    const live = { bytes: pack.tally?.liveBytes ?? 0, blobs: pack.tally?.liveBlobs ?? 0 };
    const full = bytes + live.bytes > defaultLimits.packBytes || blobs + live.blobs > defaultLimits.packBlobs;
    if (batch.length > 0 && full) {
      yield batch;
      batch = [];
      bytes = 0;
      blobs = 0;
    }
    batch.push(pack);
    bytes += live.bytes;
    blobs += live.blobs;
  }
  if (batch.length > 0) yield batch;
}

async function rewriteBatch(parts: RewriteParts, batch: readonly KeptPack[]): Promise<Freed> {
  const { index, layout, lease } = parts;
  const name = layout.newName();
  await index.announcePack(lease.id, name);
  const writer = await PackWriter.create(layout, name);
  try {
    const copied: KeptPack[] = [];
    for (const pack of batch) {
      const start = writer.end;
      if (await copyPack(parts, pack, writer)) copied.push(pack);
      else writer.rewind(start);
    }
    if (copied.length === 0) return { files: 0, bytes: 0 };
    const size = await writer.finish();
    await layout.syncPacks();
    const finished = { name, size, entries: writer.entries };
    const emptied = await index.moveBlobs(
      lease.id,
      finished,
      copied.map((pack) => pack.id),
    );
    for (const old of emptied) await layout.removePack(old);
    const sizes = new Map(copied.map((pack) => [pack.name, pack.size]));
    const removed = emptied.reduce((sum, old) => sum + (sizes.get(old) ?? size), 0);
    return { files: emptied.filter((old) => old !== name).length, bytes: removed - size };
  } finally {
    if (!writer.finished) await writer.abandon().catch(() => undefined);
    const withdrawn = await index.withdrawPacks([name]).catch((): string[] => []);
    if (withdrawn.length > 0) await layout.removePack(name).catch(() => undefined);
  }
}

/** Copies the blobs of `pack`; says false when one of them is not what its name says. */
async function copyPack(parts: RewriteParts, pack: KeptPack, writer: PackWriter): Promise<boolean> {
  for (let last: PackEntry | undefined; ;) {
    const page = await parts.index.blobsOfPack(pack.id, last, pageSize);
    for (const entry of page) if (!(await copyBlob(parts, pack, entry, writer))) return false;
    last = page.at(-1);
    if (last === undefined) return true;
  }
}

async function copyBlob(
  parts: RewriteParts,
  pack: KeptPack,
  entry: PackEntry,
  writer: PackWriter,
): Promise<boolean> {
  const offset = writer.end;
  const hash = createHash('sha256');
  try {
    for await (const buffer of parts.files.read(parts.layout.packPath(pack.name), entry.offset, entry.size)) {
      hash.update(buffer);
      await writer.appendPiece(buffer);
    }
  } catch (error) {
    if (error instanceof StoreError && ['PACK_GONE', 'PACK_DAMAGED', 'IO'].includes(error.code)) return false;
    throw error;
  }
  if (hash.digest('hex') !== entry.digest) return false;
  writer.endBlob(entry.digest, offset);
  return true;
}
