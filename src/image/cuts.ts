import type { ContentDistances } from './content-cuts.js';
import type { ScannedEntry } from './cpio/scanner.js';

/** How large segments are, in plain bytes. */
export interface CutSizes {
  readonly min: number; // small entries are gathered until a segment holds this much …
  readonly max: number; // … and cut at the latest when it would grow beyond this
  readonly piece: number; // files of this size and more have segments of their own …
  readonly inside: 'content' | 'distance'; // … cut where their bytes say, between min / 2 and piece, or at multiples of piece
}

/** The cuts that an entry calls for. */
export interface EntryCuts {
  readonly at: readonly number[]; // offsets, ascending, all at or after the entry's header
  /** Bytes that are cut by their content besides. */
  readonly inside?: { readonly start: number; readonly end: number; readonly distances: ContentDistances };
}

export const SEGMENT_MIN = 512 * 1024;
export const SEGMENT_MAX = 1536 * 1024;
export const PIECE = 1024 * 1024;

/** The sizes for formats that do not prefer any. */
export const DEFAULT_SIZES: CutSizes = {
  min: SEGMENT_MIN,
  max: SEGMENT_MAX,
  piece: PIECE,
  inside: 'content',
};

/** FNV-1a over the bytes of a latin-1 string. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * Where an archive's plain bytes are cut into segments. A cut before a small entry depends on the entry's name and on
 * how much was gathered, so that after an insertion the old cuts come back within a few entries; a large file
 * begins a segment, whatever stands before it, and is cut inside by its content.
 */
export class CutPlanner {
  readonly #sizes: CutSizes;
  #start = 0; // offset of the segment being gathered

  constructor(sizes: CutSizes = DEFAULT_SIZES) {
    this.#sizes = sizes;
  }

  entry(entry: Pick<ScannedEntry, 'rawName' | 'offset' | 'dataOffset' | 'end'>): EntryCuts {
    const { min, max, piece, inside } = this.#sizes;
    const length = entry.end - entry.offset;
    const gathered = entry.offset - this.#start;
    if (length >= piece) {
      this.#start = entry.end;
      const at = gathered > 0 ? [entry.offset] : [];
      if (inside === 'content') {
        const distances = { min: min / 2, max: piece };
        return {
          at: [...at, entry.end],
          inside: { start: entry.dataOffset, end: entry.end, distances },
        };
      }
      for (let cut = entry.dataOffset + piece; cut < entry.end; cut += piece) at.push(cut);
      return { at: [...at, entry.end] };
    }
    const full = gathered + length > max || (gathered >= min && hashName(entry.rawName) % 8 === 0);
    if (!full || gathered === 0) return { at: [] };
    this.#start = entry.offset;
    return { at: [entry.offset] };
  }

  /** Starts over at `offset`: a segment begins there. */
  restart(offset: number): void {
    this.#start = offset;
  }
}
