const WINDOW = 60_000;
const MOST_KEYS = 1024;

/**
 * Tells the first of a kind of message from its repetitions, so that a client that asks for ever fills no log. A kind
 * counts as new again after a minute. Memory is bounded: beyond 1024 kinds the oldest is forgotten.
 */
export class Repeats {
  readonly #firstSeen = new Map<string, number>();

  /** Whether `key` is new at `now` (milliseconds). */
  isNew(key: string, now: number): boolean {
    const seen = this.#firstSeen.get(key);
    if (seen !== undefined && now - seen < WINDOW) return false;
    this.#firstSeen.delete(key);
    this.#firstSeen.set(key, now);
    if (this.#firstSeen.size > MOST_KEYS) {
      const [oldest] = this.#firstSeen.keys();
      if (oldest !== undefined) this.#firstSeen.delete(oldest);
    }
    return true;
  }
}
