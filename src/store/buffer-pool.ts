/**
 * Buffers that are lent and given back, of `limit` bytes together beyond which none is kept. The one that came back last
 * goes out first: it is still in the processor's cache, and the kernel has its pages.
 */
export class BufferPool {
  readonly #limit: number;
  readonly #idle = new Map<number, Buffer[]>(); // by size
  #made = 0; // bytes that are idle or lent

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * A buffer of `size` bytes with what its last user left in it; of another size when there is none and the limit is
   * reached.
   */
  take(size: number): Buffer {
    const exact = this.#idle.get(size)?.pop();
    if (exact !== undefined) return exact;
    if (this.#made + size > this.#limit) {
      for (const buffers of this.#idle.values()) {
        const other = buffers.pop();
        if (other !== undefined) return other;
      }
    }
    this.#made += size;
    return Buffer.allocUnsafeSlow(size);
  }

  /** Takes back a whole buffer that `take` gave; nobody may use it afterwards. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    if (this.#made > this.#limit) {
      this.#made -= size;
      return;
    }
    const idle = this.#idle.get(size);
    if (idle === undefined) this.#idle.set(size, [buffer]);
    else idle.push(buffer);
  }
}
