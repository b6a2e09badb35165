import type { EventRecord, Store } from '../store/records.js';
import { DemoError } from './errors.js';

/** How often the history is looked at, in milliseconds. */
const INTERVAL = 200;

/**
 * Follows the node's events after `after` until each of `wanted` (stages) has come, and gives back those events by
 * stage. Throws DemoError NOT_SEEN naming what did not come, STOPPED when `signal` ends the wait.
 */
export async function watchBoot(
  store: Store,
  node: string,
  options: {
    readonly after: number; // event id
    readonly wanted: readonly string[];
    readonly withinMs: number;
    readonly signal: AbortSignal;
    readonly gone: () => string | undefined; // why nothing more can come
    onEvent(event: EventRecord): void;
  },
): Promise<Map<string, EventRecord>> {
  const seen = new Map<string, EventRecord>();
  const deadline = Date.now() + options.withinMs;
  let last = options.after;
  for (;;) {
    for (const event of await store.events.since(last, 100)) {
      last = event.id;
      if (event.node !== node) continue;
      options.onEvent(event);
      seen.set(event.stage, event);
    }
    const missing = options.wanted.filter((stage) => !seen.has(stage));
    if (missing.length === 0) return seen;
    options.signal.throwIfAborted();
    const gone = options.gone();
    if (gone !== undefined)
      throw new DemoError('MACHINE_FAILED', `${gone} before it showed: ${missing.join(', ')}`);
    if (Date.now() > deadline) {
      throw new DemoError('NOT_SEEN', `not seen within ${options.withinMs / 1000} s: ${missing.join(', ')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}
