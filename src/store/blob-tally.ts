const digestBytes = 32;

/** What a pack holds, as far as blobs go. */
export interface PackTally {
  readonly liveBlobs: number;
  readonly liveBytes: number;
  readonly deadBlobs: number;
  readonly deadBytes: number;
}

/**
 * Every blob of a store with a mark: 45 bytes of memory each, so that gc can tell the live from the dead among many
 * millions. Blobs are added in the order of their digests, then marked, then asked about.
 */
export class BlobTally {
  #digests = Buffer.alloc(1024 * digestBytes);
  #packs = new Float64Array(1024);
  #sizes = new Float64Array(1024);
  #live = new Uint8Array(1024);
  #count = 0;

  /** Adds a blob. Its digest must be greater than that of the one added before. */
  add(digest: Buffer, pack: number, size: number): void {
    if (this.#count === this.#live.length) this.#grow();
    digest.copy(this.#digests, this.#count * digestBytes);
    this.#packs[this.#count] = pack;
    this.#sizes[this.#count] = size;
    this.#count++;
  }

  /** Marks a blob as live and says its size, or 0 when it was live already or never added. */
  markLive(digest: Buffer): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#digests.compare(
        digest,
        0,
        digestBytes,
        middle * digestBytes,
        (middle + 1) * digestBytes,
      );
      if (order === 0) {
        const size = this.#live[middle] === 1 ? 0 : (this.#sizes[middle] ?? 0);
        this.#live[middle] = 1;
        return size;
      }
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return 0;
  }

  /** The digests of all blobs that were not marked. */
  *dead(): Generator<Buffer> {
    for (let number = 0; number < this.#count; number++) {
      if (this.#live[number] === 0) {
        yield this.#digests.subarray(number * digestBytes, (number + 1) * digestBytes);
      }
    }
  }

  /** What each pack that holds blobs holds, by its row's id. */
  packs(): Map<number, PackTally> {
    const tallies = new Map<number, PackTally>();
    for (let number = 0; number < this.#count; number++) {
      const pack = this.#packs[number] ?? 0;
      const size = this.#sizes[number] ?? 0;
      const live = this.#live[number] === 1;
      const tally = tallies.get(pack) ?? { liveBlobs: 0, liveBytes: 0, deadBlobs: 0, deadBytes: 0 };
      tallies.set(
        pack,
        live
          ? { ...tally, liveBlobs: tally.liveBlobs + 1, liveBytes: tally.liveBytes + size }
          : { ...tally, deadBlobs: tally.deadBlobs + 1, deadBytes: tally.deadBytes + size },
      );
    }
    return tallies;
  }

  #grow(): void {
    const length = this.#live.length * 2;
    this.#digests = Buffer.concat([this.#digests], length * digestBytes);
    this.#packs = grown(this.#packs, new Float64Array(length));
    this.#sizes = grown(this.#sizes, new Float64Array(length));
    this.#live = grown(this.#live, new Uint8Array(length));
  }
}

function grown<T extends Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
