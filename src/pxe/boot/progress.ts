import type { Timestamp } from '../../store/records.js';

/** How far a transfer that is running now has come. */
export interface Progress {
  readonly node: string;
  readonly stage: string;
  readonly path: string;
  readonly sent: number; // bytes
  readonly size: number; // bytes
  readonly at: Timestamp;
}

/** Tells whoever listens how the running transfers go; nothing is kept. */
export class ProgressBus {
  readonly #listeners = new Set<(progress: Progress) => void>();

  /** Calls `listener` for each report from now on, until the returned function is called. */
  subscribe(listener: (progress: Progress) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  publish(progress: Progress): void {
    for (const listener of this.#listeners) listener(progress);
  }
}
