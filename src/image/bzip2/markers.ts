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
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const complete: Buffer[][] = [];
    let from = 0;
    for (let at = bytes.indexOf(this.#marker); at >= 0; at = bytes.indexOf(this.#marker, from)) {
      complete.push([...this.#gathered, bytes.subarray(from, at)]);
      this.#gathered = [];
      from = at + this.#marker.length;
    }
    const kept = Math.max(from, bytes.length - this.#marker.length + 1);
    if (kept > from) this.#gathered.push(bytes.subarray(from, kept));
    this.#rest = bytes.subarray(kept);
    return complete;
  }
}
