/** A pull reader over a stream of chunks: look ahead, take, and give back what was not used. */
export class ChunkReader {
  readonly #iterator: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);
  #ended = false;
  #position = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#position;
  }

  /** The next `length` bytes without taking them; fewer only at the end of the stream. */
  async peek(length: number): Promise<Buffer> {
    while (this.#held.length < length && !this.#ended) {
      const chunk = await this.#pull();
      if (chunk !== undefined) this.#held = Buffer.concat([this.#held, chunk]);
    }
    return this.#held.subarray(0, length);
  }

  /** Takes the next `length` bytes; fewer only at the end of the stream. */
  async take(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    this.#held = this.#held.subarray(bytes.length);
    this.#position += bytes.length;
    return bytes;
  }

  /** Takes the next chunk, whatever its size; undefined at the end of the stream. */
  async next(): Promise<Buffer | undefined> {
    let chunk: Buffer | undefined;
    if (this.#held.length > 0) {
      chunk = this.#held;
      this.#held = Buffer.alloc(0);
    } else {
      do {
        chunk = await this.#pull();
      } while (chunk !== undefined && chunk.length === 0);
    }
    this.#position += chunk?.length ?? 0;
    return chunk;
  }

  /** Gives back the end of what was taken last, to be read again. */
  giveBack(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([bytes, this.#held]);
    this.#position -= bytes.length;
  }

  /** Ends the stream early; what was not read is lost. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#iterator.return?.();
  }

  async #pull(): Promise<Buffer | undefined> {
    if (this.#ended) return undefined;
    const result = await this.#iterator.next();
    if (result.done === true) {
      this.#ended = true;
      return undefined;
    }
    return result.value;
  }
}

/** Whether two streams give the same bytes; what is not needed of them is not read. */
export async function haveSameBytes(
  one: AsyncIterable<Buffer>,
  other: AsyncIterable<Buffer>,
): Promise<boolean> {
  const readers = [new ChunkReader(one), new ChunkReader(other)] as const;
  try {
    for (;;) {
      const [a, b] = [await readers[0].next(), await readers[1].next()];
      if (a === undefined || b === undefined) return a === b;
      const length = Math.min(a.length, b.length);
      if (!a.subarray(0, length).equals(b.subarray(0, length))) return false;
      readers[0].giveBack(a.subarray(length));
      readers[1].giveBack(b.subarray(length));
    }
  } finally {
    for (const reader of readers) await reader.close();
  }
}

/** The bytes of `chunks` in one buffer: the chunk itself when there is one. */
export function join(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}

/** Everything of a stream, in one buffer: for what is known to be small. */
export async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return join(chunks);
}
