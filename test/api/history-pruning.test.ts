import test from 'ava';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { startPruning } from '../../src/api/history-pruning.js';
import type { HistoryBounds } from '../../src/store/records.js';

const DAY = 86_400_000;
const history = { days: 7, events: 5000 };

/** A log, and what was written into it. */
function keptLog(): { log: pino.Logger; lines: string[] } {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push((JSON.parse(chunk.toString()) as { msg: string }).msg);
      done();
    },
  });
  return { log: pino(stream), lines };
}

test('the history is pruned by what rackboot.yaml says, again and again, after a failure too', async (t) => {
  const asked: HistoryBounds[] = [];
  const { log, lines } = keptLog();
  let thirdAsked = (): void => undefined;
  const third = new Promise<void>((resolve) => (thirdAsked = resolve));
  const stop = startPruning({
    history,
    log,
    now: () => 100 * DAY,
    times: { first: 0, every: 1, pause: 0 },
    events: {
      async *prune(bounds) {
        asked.push(bounds);
        if (asked.length === 1) throw new Error('database is locked');
        if (asked.length === 3) thirdAsked();
        yield asked.length === 2 ? 500 : 0;
        yield asked.length === 2 ? 20 : 0;
      },
    },
  });
  await third;
  await stop();
  t.deepEqual(asked.slice(0, 3), Array(3).fill({ before: 93 * DAY, most: 5000, keep: 100 }));
  t.deepEqual(lines, ['history cannot be pruned: database is locked', 'history: 520 old events removed']);
});

test('servers that stop wait for one small transaction, not for all', async (t) => {
  let steps = 0;
  let begun = (): void => undefined;
  const hasBegun = new Promise<void>((resolve) => (begun = resolve));
  const stop = startPruning({
    history,
    log: pino({ enabled: false }),
    now: () => 0,
    times: { first: 0, every: 0, pause: 0 },
    events: {
      async *prune() {
        for (;;) {
          await new Promise((resolve) => setImmediate(resolve));
          steps++;
          begun();
          yield 500;
        }
      },
    },
  });
  await hasBegun;
  await stop();
  const stoppedAt = steps;
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.is(steps, stoppedAt);
});
