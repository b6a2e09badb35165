import type { IndexedEntry, Segment } from './archive.js';
import { ContentCuts } from './content-cuts.js';
import type { ScannedEntry } from './cpio/scanner.js';
import type { CutPlanner } from './cuts.js';
import type { SegmentSink } from './segment-writer.js';

/** What decides where segments end. */
export type CutRule = Pick<CutPlanner, 'entry' | 'restart'>;

/** Bytes that are cut by their content, and how far they have been looked at. */
interface ContentRegion {
  readonly cuts: ContentCuts;
  readonly start: number;
  readonly end: number;
  at: number;
}

/**
 * Gathers an archive's plain bytes and the entries found in them, and hands them on as segments. Offsets count from
 * the first byte pushed.
 */
export class Segmenter {
  readonly #sink: SegmentSink;
  readonly #rule: CutRule;
  #cuts: number[] = []; // ascending
  #regions: ContentRegion[] = [];
  #entries: ScannedEntry[] = [];
  #held: Buffer[] = [];
  #start = 0; // offset of the first held byte
  #end = 0; // offset past the last held byte

  constructor(sink: SegmentSink, rule: CutRule) {
    this.#sink = sink;
    this.#rule = rule;
  }

  /** Offset past the last byte pushed. */
  get position(): number {
    return this.#end;
  }

  /** Bytes pushed that no segment holds yet. */
  get gathered(): number {
    return this.#end - this.#start;
  }

  /** An entry whose header lies at or after what was cut last; its bytes may be pushed before or after this call. */
  entry(entry: ScannedEntry): void {
    const { at, inside } = this.#rule.entry(entry);
    this.#cuts.push(...at);
    if (inside !== undefined) {
      const { start, end, distances } = inside;
      this.#regions.push({ cuts: new ContentCuts(distances), start, end, at: start });
    }
    this.#entries.push(entry);
  }

  /** Calls for a cut at the last byte pushed, beyond those of the rule. */
  cut(): void {
    this.#cuts.push(this.#end);
  }

  /**
   * Takes the next plain bytes and hands on every segment that is complete: up to `settled`, before which every entry
   * that begins is known.
   */
  async push(chunk: Buffer, settled = this.#end + chunk.length): Promise<void> {
    if (chunk.length === 0) return;
    this.#held.push(chunk);
    this.#end += chunk.length;
    this.#lookInside(settled);
    for (let cut = this.#cuts[0]; cut !== undefined && cut <= settled; cut = this.#cuts[0]) {
      this.#cuts.shift();
      await this.#cutAt(cut, 'entries');
    }
  }

  /** Ends the gathered segment at `offset`, or here, as one of `kind`. */
  async flush(kind: Segment['kind'], offset = this.#end): Promise<void> {
    this.#cuts = [];
    this.#regions = [];
    await this.#cutAt(offset, kind);
    this.#rule.restart(offset);
  }

  /** Finds the cuts inside the regions that begin before `settled`, as far as their bytes are held. */
  #lookInside(settled: number): void {
    let found = false;
    for (
      let region = this.#regions[0];
      region !== undefined && region.at < settled;
      region = this.#regions[0]
    ) {
      const end = Math.min(region.end, settled);
      for (const bytes of this.#between(region.at, end)) {
        for (const cut of region.cuts.push(bytes)) {
          if (region.start + cut >= region.end) continue;
          this.#cuts.push(region.start + cut);
          found = true;
        }
      }
      region.at = end;
      if (end < region.end) break;
      this.#regions.shift();
    }
    if (found) this.#cuts.sort((a, b) => a - b);
  }

  /** The held bytes from offset `start` to offset `end`. */
  *#between(start: number, end: number): Generator<Buffer> {
    let offset = this.#start;
    for (const chunk of this.#held) {
      if (offset >= end) return;
      const from = Math.max(0, start - offset);
      if (from < chunk.length) yield chunk.subarray(from, Math.min(chunk.length, end - offset));
      offset += chunk.length;
    }
  }

  async #cutAt(offset: number, kind: Segment['kind']): Promise<void> {
    if (offset <= this.#start) return;
    const chunks: Buffer[] = [];
    let wanted = offset - this.#start;
    while (wanted > 0) {
      const chunk = this.#held[0];
      if (chunk === undefined) break;
      if (chunk.length <= wanted) {
        chunks.push(chunk);
        this.#held.shift();
        wanted -= chunk.length;
      } else {
        chunks.push(chunk.subarray(0, wanted));
        this.#held[0] = chunk.subarray(wanted);
        wanted = 0;
      }
    }
    const inside: IndexedEntry[] = [];
    let count = 0;
    for (const entry of this.#entries) {
      if (entry.offset >= offset) break;
      count++;
      inside.push({
        header: entry.header,
        rawName: entry.rawName,
        at: entry.offset - this.#start,
        ...(entry.tar === undefined ? {} : { tar: entry.tar }),
        ...(entry.target === undefined ? {} : { target: entry.target }),
      });
    }
    this.#entries.splice(0, count);
    this.#start = offset;
    await this.#sink.add(kind, chunks, inside);
  }
}
