import type { Logger } from 'pino';
import { messageOf } from '../errors.js';
import type { EventRecord, EventState } from '../store/records.js';

const POLL = 400; // ms
const BATCH = 500;

/**
 * Tells its listeners of every event that enters the history, whichever process wrote it. Looks only while somebody
 * listens.
 */
export class EventFeed {
  readonly #events: EventState;
  readonly #log: Logger;
  readonly #listeners = new Set<(events: readonly EventRecord[]) => void>();
  #timer: NodeJS.Timeout | undefined;
  #last: number | undefined;
  #failing = false;

  constructor(events: EventState, log: Logger) {
    this.#events = events;
    this.#log = log;
  }

  /** Calls `listener` with new events until the returned function is called. */
  subscribe(listener: (events: readonly EventRecord[]) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#last = undefined;
      this.#schedule(0);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearTimeout(this.#timer);
    };
  }

  #schedule(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#poll(), wait);
    this.#timer.unref();
  }

  async #poll(): Promise<void> {
    try {
      this.#last ??= await this.#events.lastId();
      const events = await this.#events.since(this.#last, BATCH);
      this.#failing = false;
      const last = events.at(-1);
      if (last !== undefined) {
        this.#last = last.id;
        for (const listener of this.#listeners) listener(events);
      }
      if (this.#listeners.size > 0) this.#schedule(events.length === BATCH ? 0 : POLL);
    } catch (error) {
      if (!this.#failing) this.#log.warn(`history cannot be followed: ${messageOf(error)}`);
      this.#failing = true;
      if (this.#listeners.size > 0) this.#schedule(POLL * 10);
    }
  }
}
