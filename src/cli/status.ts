import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { inNameOrder } from '../node/name-order.js';
import { selectNodes } from '../node/site-directory.js';
import { readStatuses, type FullStatus } from '../node/status.js';
import type { EventRecord, NodeRecord, Store } from '../store/records.js';
import { type Context, UsageError } from './context.js';
import { formatBytes, formatDuration, formatTime, textTable } from './table.js';

const WATCH_EVERY = 1000; // ms

/** `status`: where each node is in its boot and install. */
export function registerStatus(program: Command, context: Context): void {
  program
    .command('status')
    .description('show where nodes are in their boot and install')
    .argument('[noderange]', 'which; all without it')
    .option(
      '--watch',
      'keep showing it until interrupted: redrawn on a terminal, else a line (or JSON) for each change',
    )
    .option('--history', 'what happened to each of them, the latest last')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot status\n  rackboot status n1 --history\n  rackboot status rack1 --watch\n  rackboot --json status n1',
    )
    .action(async (range: string | undefined, options: { watch?: boolean; history?: boolean }) => {
      if (options.watch === true && options.history === true)
        throw new UsageError('--history shows what was, --watch what is; give one of them');
      const { store } = await context.openStore(options.watch === true ? 'write' : 'read');
      if (options.history === true) {
        await printHistory(context, store, range);
        return;
      }
      if (options.watch === true) {
        await watch(context, store, range);
        return;
      }
      const statuses = await readStatuses(store, await nodesOf(store, range));
      context.print(statuses, () => describeStatuses(statuses, Date.now()));
    });
}

async function nodesOf(store: Store, range: string | undefined): Promise<readonly NodeRecord[]> {
  return inNameOrder(await selectNodes(store.nodes, range), ({ name }) => name);
}

/** How many of a node's latest events are shown. */
const HISTORY = 100;

async function printHistory(context: Context, store: Store, range: string | undefined): Promise<void> {
  const events: EventRecord[] = [];
  for (const { name } of await nodesOf(store, range))
    events.push(...(await store.events.ofNode(name, HISTORY)).reverse());
  context.print(events, () =>
    events.length === 0
      ? 'nothing happened yet'
      : textTable(
          ['NODE', 'WHEN', 'STAGE', 'FROM', 'WHAT'],
          events.map(({ node, at, stage, client, detail }) => [
            node ?? '-',
            formatTime(at),
            stage,
            client ?? '-',
            detail,
          ]),
        ),
  );
}

async function watch(context: Context, store: Store, range: string | undefined): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const isScreen = !context.json && 'isTTY' in context.stdout && context.stdout.isTTY === true;
  const told = new Map<string, string>();
  try {
    while (!stop.signal.aborted) {
      const statuses = await readStatuses(store, await nodesOf(store, range));
      if (isScreen) {
        context.stdout.write(`\x1b[H\x1b[2J${describeStatuses(statuses, Date.now())}\n`);
      } else {
        for (const status of statuses) {
          const line = context.json ? JSON.stringify(status) : describeChange(status);
          if (told.get(status.node) !== line) context.stdout.write(`${line}\n`);
          told.set(status.node, line);
        }
      }
      await sleep(WATCH_EVERY, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

function describeStatuses(statuses: readonly FullStatus[], now: number): string {
  if (statuses.length === 0)
    return 'no node yet; add one with: rackboot node add NAME --mac MAC --ip ADDRESS';
  const table = textTable(
    ['NODE', 'SET TO', 'STAGE', 'PROGRESS', 'SENT', 'TIME', 'LAST EVENT'],
    statuses.map((status) => [
      status.node,
      setTo(status),
      status.stage ?? '-',
      status.progress === null ? '-' : `${bar(status.progress)} ${Math.round(status.progress * 100)} %`,
      status.bytes === 0 ? '-' : formatBytes(status.bytes),
      status.ms === 0 ? '-' : formatDuration(status.ms),
      status.at === null ? '-' : `${formatAge(now - status.at)} ago`,
    ]),
  );
  const failures = statuses.filter((status) => status.stage === 'failed');
  if (failures.length === 0) return table;
  return [
    table,
    '',
    ...failures.map((status) => `${status.node} failed: ${status.detail || 'it gave no reason'}`),
  ].join('\n');
}

/** How long ago, in whole seconds at least: `17 s`, `3 min 5 s`. */
function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 60 ? `${seconds} s` : formatDuration(seconds * 1000);
}

function describeChange(status: FullStatus): string {
  const progress = status.progress === null ? '' : ` ${Math.round(status.progress * 100)} %`;
  return `${status.node}: ${status.stage ?? 'never seen'}${progress} (${setTo(status)})${status.detail === '' ? '' : `: ${status.detail}`}`;
}

function setTo(status: FullStatus): string {
  if (status.state === 'offline') return 'offline';
  if (status.state === 'boot') return 'local disk';
  if (status.destiny !== null) return status.destiny;
  const generation = status.generationNumber ?? status.generation?.slice(0, 12);
  return `${status.osimage ?? ''}${generation === undefined ? '' : `@${generation}`}`;
}

function bar(progress: number): string {
  const full = Math.round(progress * 6);
  return '#'.repeat(full) + '.'.repeat(6 - full);
}
