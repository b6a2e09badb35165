import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../errors.js';
import { STATUS_EVENTS } from '../node/status.js';
import type { SiteConfig } from '../site/config.js';
import type { EventState } from '../store/records.js';

const DAY = 86_400_000; // ms

/** When the history is looked through, in milliseconds. */
export interface PruningTimes {
  readonly first: number; // after the start
  readonly every: number;
  readonly pause: number; // between two small transactions, for those who boot meanwhile
}

const usual: PruningTimes = { first: 60_000, every: 3_600_000, pause: 20 };

/** What history is pruned by. */
export interface PruningOptions {
  readonly events: Pick<EventState, 'prune'>;
  readonly history: SiteConfig['history'];
  readonly log: Logger;
  readonly now: () => number; // milliseconds since the epoch
  readonly times?: PruningTimes;
}

/**
 * Keeps the history of nodes within `history` of rackboot.yaml for as long as the servers run; what a node's status is
 * derived from stays. Several servers of one database may all do so. The returned function ends it.
 */
export function startPruning(options: PruningOptions): () => Promise<void> {
  const stop = new AbortController();
  const done = pruneUntil(stop.signal, options);
  return async () => {
    stop.abort();
    await done;
  };
}

async function pruneUntil(signal: AbortSignal, options: PruningOptions): Promise<void> {
  const { log, times = usual } = options;
  let wait = times.first;
  while (await isStillOn(wait, signal)) {
    wait = times.every;
    try {
      const removed = await pruneOnce(signal, options);
      if (removed > 0) log.info(`history: ${removed} old events removed`);
    } catch (error) {
      log.warn(`history cannot be pruned: ${messageOf(error)}`);
    }
  }
}

async function pruneOnce(
  signal: AbortSignal,
  { events, history, now, times = usual }: PruningOptions,
): Promise<number> {
  let sum = 0;
  const before = now() - history.days * DAY;
  for await (const removed of events.prune({ before, most: history.events, keep: STATUS_EVENTS })) {
    sum += removed;
    if (!(await isStillOn(times.pause, signal))) break;
  }
  return sum;
}

/** Waits; false as soon as `signal` says that it is over. */
async function isStillOn(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
  return !signal.aborted;
}
