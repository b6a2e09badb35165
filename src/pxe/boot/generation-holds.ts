import type { LeaseState, Timestamp } from '../../store/records.js';
import { LeastRecent } from './least-recent.js';

const LENGTH = 15 * 60_000; // ms
const RENEW_BEFORE = 10 * 60_000; // ms

/** Keeps gc away from generations that are being sent: one lease a generation, renewed while requests for it come in. */
export class GenerationHolds {
  readonly #leases: LeaseState;
  readonly #holder: string;
  readonly #now: () => Timestamp;
  readonly #until = new LeastRecent<Timestamp>(256);

  constructor(leases: LeaseState, holder: string, now: () => Timestamp) {
    this.#leases = leases;
    this.#holder = holder;
    this.#now = now;
  }

  /** Holds the generation for the next 10 minutes at least. */
  async hold(osimage: string, generation: string): Promise<void> {
    const key = `${osimage}@${generation}`;
    const now = this.#now();
    if ((this.#until.get(key) ?? 0) > now + RENEW_BEFORE) return;
    const expiresAt = now + LENGTH;
    await this.#leases.holdGeneration({
      kind: 'transfer',
      holder: this.#holder,
      osimage,
      generation,
      expiresAt,
    });
    this.#until.set(key, expiresAt);
  }

  /** Holds it until the returned function is called, however long that takes. */
  async during(osimage: string, generation: string): Promise<() => void> {
    await this.hold(osimage, generation);
    const timer = setInterval(
      () => void this.hold(osimage, generation).catch(() => undefined),
      LENGTH - RENEW_BEFORE,
    );
    timer.unref();
    return () => clearInterval(timer);
  }
}
