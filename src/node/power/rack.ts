import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { codeOf, messageOf, RackbootError } from '../../errors.js';
import type { NodeRecord } from '../../store/records.js';
import { PowerError } from './errors.js';

/** What became of one node. */
export type NodeResult =
  | { readonly node: string; readonly ok: true; readonly result: string }
  | { readonly node: string; readonly ok: false; readonly code: string; readonly error: string };

/** How many machines are spoken to at one time, how far apart they begin, and how long one may take. */
export interface Pace {
  readonly parallel: number;
  readonly stagger: number; // seconds
  readonly timeout: number; // seconds
}

/**
 * Does `deed` to every one of `nodes`; one that fails is a result like others. `onResult` is told of each as it ends; the
 * results come back in the order of `nodes`. A node's time begins when it is its turn. Once `stop` is given, those that
 * are spoken to end as they do when their time is up, and the others are not begun.
 */
export async function forEachNode(
  nodes: readonly NodeRecord[],
  { parallel, stagger, timeout }: Pace,
  deed: (node: NodeRecord, signal: AbortSignal) => Promise<string>,
  onResult: (result: NodeResult) => void,
  stop: AbortSignal = new AbortController().signal,
): Promise<readonly NodeResult[]> {
  const limit = pLimit(parallel);
  setMaxListeners(parallel + 1, stop);
  let next = performance.now();
  const turn = async (): Promise<void> => {
    const now = performance.now();
    const at = Math.max(now, next);
    next = at + stagger * 1000;
    if (at > now) await sleep(at - now, undefined, { signal: stop }).catch(() => undefined);
  };
  return Promise.all(
    nodes.map((node) =>
      limit(async () => {
        if (stagger > 0) await turn();
        const result = await attempt(node, timeout, deed, stop);
        onResult(result);
        return result;
      }),
    ),
  );
}

async function attempt(
  node: NodeRecord,
  timeout: number,
  deed: (node: NodeRecord, signal: AbortSignal) => Promise<string>,
  stop: AbortSignal,
): Promise<NodeResult> {
  const end = new AbortController();
  const abort = (): void => end.abort();
  const timer = setTimeout(abort, timeout * 1000);
  stop.addEventListener('abort', abort);
  try {
    if (stop.aborted) throw new PowerError('STOPPED', 'was not begun: the command was stopped; run it again');
    return { node: node.name, ok: true, result: await deed(node, end.signal) };
  } catch (error) {
    if (!(error instanceof RackbootError)) throw error;
    const shown =
      stop.aborted && codeOf(error) === 'TIMED_OUT'
        ? new PowerError('STOPPED', 'was begun when the command was stopped; ask it with: power stat')
        : error;
    return { node: node.name, ok: false, code: codeOf(shown) ?? '', error: messageOf(shown) };
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', abort);
  }
}
