/** How far apart the cuts inside a large file are, in bytes. */
export interface ContentDistances {
  readonly min: number;
  readonly max: number;
}

/** Bits of the hash that are zero at a cut: beyond `min`, one byte in 2^19 is one. */
const CUT_BITS = 0xffff_e000 | 0;
/** Bytes that the hash remembers: each byte is shifted out of its 32 bits after as many more. */
const WINDOW = 32;

/**
 * Where the bytes of a large file are cut, found from the bytes themselves, so that after an insertion the old cuts come
 * back. The rolling hash is the gear hash of "Ddelta" (Xia et al., 2014, section 3.2): one shift and one addition a byte.
 */
export class ContentCuts {
  readonly #distances: ContentDistances;
  #hash = 0;
  #since = 0; // bytes since the last cut
  #position = 0;

  constructor(distances: ContentDistances) {
    this.#distances = distances;
  }

  /** The offsets, counted from the first byte pushed, after which the next bytes are cut; ascending. */
  push(bytes: Buffer): number[] {
    const { min, max } = this.#distances;
    const cuts: number[] = [];
    let at = 0;
    while (at < bytes.length) {
      const unread = min - WINDOW - this.#since; // no cut can come out of these
      if (unread > 0) {
        const step = Math.min(unread, bytes.length - at);
        at += step;
        this.#since += step;
        continue;
      }
      const room = Math.min(bytes.length, at + max - this.#since);
      const first = at + Math.max(0, min - this.#since - 1); // the first byte that may end a piece
      let hash = this.#hash;
      let end = at;
      while (end < room) {
        hash = ((hash << 1) + (GEAR[bytes[end] ?? 0] ?? 0)) | 0;
        end++;
        if ((hash & CUT_BITS) === 0 && end > first) break;
      }
      this.#since += end - at;
      this.#hash = hash;
      at = end;
      if (this.#since >= max || ((hash & CUT_BITS) === 0 && end > first)) {
        cuts.push(this.#position + at);
        this.#since = 0;
        this.#hash = 0;
      }
    }
    this.#position += bytes.length;
    return cuts;
  }
}

/** A random-looking number for every byte; fixed for ever, as the cuts of stored archives follow from it. */
const GEAR = gearTable();

function gearTable(): Int32Array {
  const table = new Int32Array(256);
  let state = 0x9e37_79b9;
  for (let byte = 0; byte < 256; byte++) {
    // xorshift32 (Marsaglia, 2003), ten steps for each
    for (let step = 0; step < 10; step++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
    }
    table[byte] = state;
  }
  return table;
}
