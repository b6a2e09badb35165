import { applyPlan, lastTailOf, type ApplyTools } from './apply-plan.js';
import { loadEntries, type PlacedEntry } from './archive-index.js';
import type { ArchiveDescriptor, Frame } from './archive.js';
import type { Edit } from './edit.js';
import { planEdits } from './edit-plan.js';
import { tailOfPart, type TailPlace } from './parts.js';
import { compressAgain } from './whole/compress.js';

/** What an edit works with. */
export interface SpliceTools extends ApplyTools {
  readonly mtime: number | undefined; // of new entries, seconds; by default what newestTime gives
  /** Told of deletions that found nothing to delete. */
  readonly onMissed?: (edit: Edit) => void;
}

/** An edit of an archive file: of the one archive in it that `part` counts, from 1, or of all as the node unpacks them. */
export type ArchiveEdit = Edit & { readonly part?: number };

/**
 * The archive that `edits` make of `base`. Segments that no edit touches are taken over as they are; streams that are
 * compressed whole are compressed again. The result depends only on `base`, the edits and the time given, never on what
 * was built before. Throws what planEdits throws, and ImageError TRUNCATED when content ends before its size.
 */
export async function spliceArchive(
  base: ArchiveDescriptor,
  edits: readonly ArchiveEdit[],
  tools: SpliceTools,
): Promise<ArchiveDescriptor> {
  let mtime = tools.mtime;
  let result = base;
  for (const { part, run } of runsOf(edits)) {
    if (result !== base) await tools.writer.seal();
    const entries = await loadEntries(result, tools.blobs);
    mtime ??= newestTime(entries);
    result = await splicePart(result, entries, part, run, { ...tools, mtime });
  }
  const frames: Frame[] = [];
  for (const [number, frame] of result.frames.entries()) {
    const changed = frame.segments !== base.frames[number]?.segments;
    frames.push(changed ? await compressAgain(frame, tools) : frame);
  }
  return result === base ? base : { frames };
}

/** Later times are taken for wrong ones; in newc, those before 1970 look the same (2038-01-19). */
const LATEST = 2 ** 31 - 1;

/** The time of the newest entry, so that what is new is not older than what it was added to; 0 where all are later than LATEST. */
function newestTime(entries: readonly PlacedEntry[]): number {
  let newest = 0;
  for (const { header } of entries)
    if (header.mtime > newest && header.mtime <= LATEST) newest = header.mtime;
  return newest;
}

/** `edits` in runs of the same part. */
function runsOf(
  edits: readonly ArchiveEdit[],
): { readonly part: number | undefined; readonly run: Edit[] }[] {
  const runs: { part: number | undefined; run: Edit[] }[] = [];
  for (const edit of edits) {
    const last = runs.at(-1);
    if (last !== undefined && last.part === edit.part) last.run.push(edit);
    else runs.push({ part: edit.part, run: [edit] });
  }
  return runs;
}

async function splicePart(
  base: ArchiveDescriptor,
  all: readonly PlacedEntry[],
  part: number | undefined,
  edits: readonly Edit[],
  tools: SpliceTools & { readonly mtime: number },
): Promise<ArchiveDescriptor> {
  const entries = part === undefined ? all : all.filter(({ archive }) => archive === part - 1);
  const target = part === undefined ? lastTail(base) : tailOfPart(base, part);
  const plan = planEdits(entries, edits, tools);
  for (const edit of plan.missed) tools.onMissed?.(edit);
  return applyPlan(base, entries, plan, target, tools);
}

/** The last archive's trailer, though that archive may hold no entry yet. */
function lastTail({ frames }: ArchiveDescriptor): TailPlace {
  const number = frames.findLastIndex(({ segments }) => segments.some(({ kind }) => kind === 'tail'));
  const frame = frames[number];
  return { frame: number, segment: frame === undefined ? 0 : lastTailOf(frame) };
}
