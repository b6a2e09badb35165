import type { IndexedEntry, Segment } from './archive.js';
import { join } from './chunks.js';
import type { PackedSegment } from './codec.js';
import type { SegmentSink, SegmentWriter } from './segment-writer.js';

/** Plain bytes [start, end) of what is cut into segments, and what they are compressed. */
interface PlacedRun {
  readonly start: number;
  readonly end: number;
  readonly packed: PackedSegment;
}

/**
 * Hands segments on to be stored: those that consist of whole runs which were compressed already as these are, any
 * other to be compressed.
 */
export class PackedRuns implements SegmentSink {
  readonly #writer: SegmentWriter;
  #runs: PlacedRun[] = []; // by place; none begins before `position`
  #position = 0;

  constructor(writer: SegmentWriter) {
    this.#writer = writer;
  }

  /** Says what the plain bytes [start, end) are compressed. Call it before they are handed on. */
  place(packed: PackedSegment, start: number, end: number): void {
    if (start >= this.#position && end > start) this.#runs.push({ packed, start, end });
  }

  async add(
    kind: Segment['kind'],
    chunks: readonly Buffer[],
    entries: readonly IndexedEntry[],
  ): Promise<void> {
    const start = this.#position;
    this.#position += chunks.reduce((sum, { length }) => sum + length, 0);
    await this.#writer.add(kind, chunks, entries, this.#take(start, this.#position));
  }

  /** The runs that make up exactly [start, end), joined, or undefined. Forgets all that begin before `end`. */
  #take(start: number, end: number): PackedSegment | undefined {
    const inside = this.#runs.filter((run) => run.start < end);
    this.#runs = this.#runs.filter((run) => run.start >= end);
    let reached = start;
    for (const run of inside) {
      if (run.start !== reached) return undefined;
      reached = run.end;
    }
    if (reached !== end) return undefined;
    return {
      stored: join(inside.map(({ packed }) => packed.stored)),
      blocks: inside.flatMap(({ packed }) => packed.blocks ?? []),
    };
  }
}
