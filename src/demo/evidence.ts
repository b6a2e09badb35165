import { setTimeout as sleep } from 'node:timers/promises';
import type { EventRecord, EventState } from '../store/records.js';
import { DemoError } from './errors.js';

/** How often the history is looked at, in milliseconds, and how many rows are read at once. */
const lookEvery = 200;
const batch = 500;

/**
 * The site's history after the event `after`, as it grows, oldest first; ends when `signal` is aborted. The rows may
 * come from any process that works on the site.
 */
export async function* followEvents(
  events: Pick<EventState, 'since'>,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<EventRecord, void> {
  let last = after;
  while (!signal.aborted) {
    const found = await events.since(last, batch);
    for (const event of found) {
      last = event.id;
      yield event;
    }
    if (found.length < batch) await sleep(lookEvery, undefined, { signal }).catch(() => undefined);
  }
}

/** What is waited for, and for how long. */
export interface Wanted {
  readonly node: string;
  readonly stage: string;
  readonly after: number; // id of the last event that does not count
  readonly withinMs: number;
  readonly signal?: AbortSignal;
}

/**
 * The first event of the node's stage after `after`. Throws DemoError NOT_SEEN, with the stages that were seen
 * instead, or STOPPED.
 */
export async function waitForEvent(events: Pick<EventState, 'since'>, wanted: Wanted): Promise<EventRecord> {
  const timeout = AbortSignal.timeout(wanted.withinMs);
  const signal = wanted.signal === undefined ? timeout : AbortSignal.any([timeout, wanted.signal]);
  const seen: string[] = [];
  for await (const event of followEvents(events, wanted.after, signal)) {
    if (event.node !== wanted.node) continue;
    if (event.stage === wanted.stage) return event;
    seen.push(event.stage);
  }
  if (wanted.signal?.aborted === true) {
    throw new DemoError('STOPPED', `${wanted.node}: stopped by the caller while waiting for ${wanted.stage}`);
  }
  const instead = seen.length === 0 ? 'it was not heard of at all' : `it got as far as: ${seen.join(', ')}`;
  const seconds = Math.round(wanted.withinMs / 1000);
  throw new DemoError('NOT_SEEN', `${wanted.node}: no ${wanted.stage} within ${seconds} s; ${instead}.`);
}
