import { LeastRecent } from './boot/least-recent.js';

/** At most `burst` at once and `perSecond` on the average, for each key; remembers the latest `keys` of them. */
export class RateLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #buckets: LeastRecent<{ tokens: number; at: number }>;

  constructor(limit: { readonly burst: number; readonly perSecond: number; readonly keys: number }) {
    this.#burst = limit.burst;
    this.#perSecond = limit.perSecond;
    this.#buckets = new LeastRecent(limit.keys);
  }

  /** Whether one more of `key` is allowed at `now`, in milliseconds; when it is, it counts. */
  take(key: string, now: number): boolean {
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, at: now };
    const gained = (Math.max(0, now - bucket.at) / 1000) * this.#perSecond;
    bucket.tokens = Math.min(this.#burst, bucket.tokens + gained);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
