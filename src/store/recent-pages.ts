/** The unit in which the kernel keeps what was read, in bytes; where its pages are larger, ours are parts of them. */
const pageSize = 4096;
const segmentPages = 32 * 1024; // noted in one bitmap

type Pages = Map<number, Uint8Array>; // a bit for each page, by segment

/**
 * Which pages of a file were read in the last `forMs` to twice that, in milliseconds: the kernel will still have them,
 * and reading them again waits for no disk. Costs 32 KiB for each GiB that was read.
 */
export class RecentPages {
  readonly #forMs: number;
  readonly #now: () => number;
  #recent: Pages = new Map();
  #older: Pages = new Map();
  #turnedAt: number;

  constructor(forMs: number, now: () => number = () => performance.now()) {
    this.#forMs = forMs;
    this.#now = now;
    this.#turnedAt = now();
  }

  /** Notes that bytes [start, end) have been read just now. */
  add(start: number, end: number): void {
    this.#turn();
    forEachByte(start, end, (segment, at, mask) => {
      let bits = this.#recent.get(segment);
      if (bits === undefined) this.#recent.set(segment, (bits = new Uint8Array(segmentPages / 8)));
      bits[at] = (bits[at] ?? 0) | mask;
      return true;
    });
  }

  /** Whether every page of bytes [start, end) was read lately. */
  has(start: number, end: number): boolean {
    this.#turn();
    return forEachByte(start, end, (segment, at, mask) => {
      const noted = (this.#recent.get(segment)?.[at] ?? 0) | (this.#older.get(segment)?.[at] ?? 0);
      return (noted & mask) === mask;
    });
  }

  /** Forgets all pages: the kernel has dropped some that it was thought to have. */
  clear(): void {
    this.#recent.clear();
    this.#older.clear();
  }

  #turn(): void {
    const now = this.#now();
    const past = now - this.#turnedAt;
    if (past < this.#forMs) return;
    this.#older = past < 2 * this.#forMs ? this.#recent : new Map<number, Uint8Array>();
    this.#recent = new Map();
    this.#turnedAt = now;
  }
}

/**
 * Calls `visit` with each byte of the bitmaps that has bits of the pages of bytes [start, end): its segment, its place in
 * it, and those bits; until it says false. Whether it never did.
 */
function forEachByte(
  start: number,
  end: number,
  visit: (segment: number, at: number, mask: number) => boolean,
): boolean {
  const pastLast = Math.ceil(end / pageSize);
  for (let page = Math.floor(start / pageSize); page < pastLast;) {
    const from = page & 7;
    const to = Math.min(8, from + pastLast - page);
    const mask = (0xff >>> (8 - to)) & (0xff << from);
    if (!visit(Math.floor(page / segmentPages), (page % segmentPages) >>> 3, mask)) return false;
    page += to - from;
  }
  return true;
}
