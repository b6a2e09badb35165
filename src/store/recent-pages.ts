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
    for (let page = Math.floor(start / pageSize); page * pageSize < end; page++) {
      const segment = Math.floor(page / segmentPages);
      let bits = this.#recent.get(segment);
      if (bits === undefined) this.#recent.set(segment, (bits = new Uint8Array(segmentPages / 8)));
      const at = page % segmentPages;
      bits[at >>> 3] = (bits[at >>> 3] ?? 0) | (1 << (at & 7));
    }
  }

  /** Whether every page of bytes [start, end) was read lately. */
  has(start: number, end: number): boolean {
    this.#turn();
    for (let page = Math.floor(start / pageSize); page * pageSize < end; page++)
      if (!isIn(this.#recent, page) && !isIn(this.#older, page)) return false;
    return true;
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

function isIn(pages: Pages, page: number): boolean {
  const at = page % segmentPages;
  const byte = pages.get(Math.floor(page / segmentPages))?.[at >>> 3] ?? 0;
  return (byte & (1 << (at & 7))) !== 0;
}
