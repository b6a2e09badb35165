import type { ScannedEntry } from './cpio/scanner.js';

/** How large segments are, in plain bytes. */
export interface CutSizes {
  readonly min: number; // small entries are gathered until a segment holds this much …
  readonly max: number; // … and cut at the latest when it would grow beyond this
  readonly piece: number; // files of this size and more have segments of their own, cut inside at multiples of it
}

export const SEGMENT_MIN = 512 * 1024;
export const SEGMENT_MAX = 1536 * 1024;
export const PIECE = 1024 * 1024;

/** The sizes for formats that do not prefer any. */
export const DEFAULT_SIZES: CutSizes = { min: SEGMENT_MIN, max: SEGMENT_MAX, piece: PIECE };

/** FNV-1a over the bytes of a latin-1 string. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * Where an archive's plain bytes are cut into segments. A cut before a small entry depends on the entry's name and on
 * how much was gathered, so that after an insertion the old cuts come back within a few entries; a large file is cut at
 * fixed distances from its start, whatever stands before it.
 */
export class CutPlanner {
  readonly #sizes: CutSizes;
  #start = 0; // offset of the segment being gathered

  constructor(sizes: CutSizes = DEFAULT_SIZES) {
    this.#sizes = sizes;
  }

  /** The offsets to cut at, ascending, that the entry calls for; all at or after its header. */
  entry(entry: Pick<ScannedEntry, 'rawName' | 'offset' | 'dataOffset' | 'end'>): number[] {
    const { min, max, piece } = this.#sizes;
    const cuts: number[] = [];
    const length = entry.end - entry.offset;
    const gathered = entry.offset - this.#start;
    if (length >= piece) {
      if (gathered > 0) cuts.push(entry.offset);
      for (let at = entry.dataOffset + piece; at < entry.end; at += piece) cuts.push(at);
      cuts.push(entry.end);
    } else if (gathered + length > max || (gathered >= min && hashName(entry.rawName) % 8 === 0)) {
      if (gathered > 0) cuts.push(entry.offset);
    }
    this.#start = cuts.at(-1) ?? this.#start;
    return cuts;
  }

  /** Starts over at `offset`: a segment begins there. */
  restart(offset: number): void {
    this.#start = offset;
  }
}
