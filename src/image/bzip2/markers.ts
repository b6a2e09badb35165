/** Finds what lies between markers in a stream of chunks. */
export class MarkerCutter {
  readonly #marker: Buffer;
  #gathered: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0); // shorter than a marker: it may begin one

  constructor(marker: Buffer) {
    this.#marker = marker;
  }

  /** Whether bytes were taken that no marker followed. */
  get pending(): boolean {
    return this.#gathered.length > 0 || this.#rest.length > 0;
  }

  /** Takes the next bytes, and gives back what each marker in them ends: the bytes since the one before it. */
  push(chunk: Buffer): Buffer[][] {
    const complete: Buffer[][] = [];
    let from = this.#across(chunk, complete);
    for (let at = chunk.indexOf(this.#marker, from); at >= 0; at = chunk.indexOf(this.#marker, from)) {
      complete.push([...this.#gathered, chunk.subarray(from, at)]);
      this.#gathered = [];
      from = at + this.#marker.length;
    }
    const kept = Math.max(from, chunk.length - this.#marker.length + 1);
    if (kept > from) this.#gathered.push(chunk.subarray(from, kept));
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(kept)]);
    return complete;
  }

  /** Settles what the bytes held back are, now that `chunk` follows; gives back where in it to go on. */
  #across(chunk: Buffer, complete: Buffer[][]): number {
    const held = this.#rest;
    if (held.length === 0) return 0;
    const seam = Buffer.concat([held, chunk.subarray(0, this.#marker.length - 1)]);
    const at = seam.indexOf(this.#marker);
    const settled = at >= 0 ? at : Math.max(0, Math.min(held.length, seam.length - this.#marker.length + 1));
    if (settled > 0) this.#gathered.push(held.subarray(0, settled));
    this.#rest = held.subarray(settled);
    if (at < 0) return 0;
    complete.push(this.#gathered);
    this.#gathered = [];
    this.#rest = Buffer.alloc(0);
    return at + this.#marker.length - held.length;
  }
}
