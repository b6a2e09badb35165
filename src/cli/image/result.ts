import type { BuildResult } from '../../osimage/build.js';
import type { MissedRemoval } from '../../osimage/build-archives.js';
import { shortId } from '../../osimage/manifest.js';
import type { SegmentCounts } from '../../image/segment-writer.js';
import type { GenerationRecord } from '../../store/records.js';
import type { GenerationManifest } from '../../osimage/types.js';
import { formatBytes, formatDuration } from '../table.js';

/** What a command that makes a generation prints with --json. */
export function resultJson(
  {
    record,
    manifest,
    counts,
    missed = [],
  }: {
    record: GenerationRecord;
    manifest: GenerationManifest;
    counts: SegmentCounts;
    missed?: readonly MissedRemoval[];
  },
  ms: number,
): Readonly<Record<string, unknown>> {
  return {
    osimage: record.osimage,
    generation: record.id,
    number: record.number,
    parent: record.parent,
    files: manifest.files.map(({ path, size, sha256 }) => ({ path, size, sha256 })),
    compressedBytes: counts.compressed,
    compressedWhole: counts.wholes.map(({ codec, plain }) => ({ codec, bytes: plain })),
    missedRemovals: missed,
    ms: Math.round(ms),
  };
}

/** One line about a build: `d12 generation 2 (3f9a1c22ab01): recompressed 0.5 MiB in 120 ms`. */
export function resultText(result: BuildResult, ms: number): string {
  const { record, built, counts } = result;
  const name = `${record.osimage} generation ${record.number} (${shortId(record.id)})`;
  if (!built) return `${name} has just these inputs already; it is current now`;
  const wholes = counts.wholes.map(
    ({ codec, plain }) =>
      `, and all ${formatBytes(plain)} of the archive with ${codec}, which is one stream,`,
  );
  return `${name}: recompressed ${formatBytes(counts.compressed)}${wholes.join('')} in ${formatDuration(ms)}`;
}

/** A clock that was started now; calling it gives the milliseconds since. */
export function stopwatch(): () => number {
  const start = performance.now();
  return () => performance.now() - start;
}
