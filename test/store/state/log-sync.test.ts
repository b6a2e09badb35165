import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { LogSync } from '../../../src/store/state/log-sync.js';

/** A sync that ends when it is told to. */
async function controlled(t: ExecutionContext): Promise<{
  readonly log: LogSync;
  readonly syncs: { end(error?: Error): void }[];
}> {
  const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-log-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const file = path.join(dir, 'log');
  await writeFile(file, 'log');
  const syncs: { end(error?: Error): void }[] = [];
  const log = new LogSync(
    file,
    () =>
      new Promise((resolve, reject) => {
        syncs.push({ end: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
  );
  return { log, syncs };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 10_000 && !condition(); turns += 1) await nextTurn();
}

test('who asks while it syncs waits for one that begins later, together with all the others', async (t) => {
  const { log, syncs } = await controlled(t);
  const told: string[] = [];
  const ask = (name: string): void => void log.reached().then(() => told.push(name));
  ask('one');
  await until(() => syncs.length === 1);
  ask('two');
  ask('three');
  syncs[0]?.end();
  await until(() => syncs.length === 2);
  t.deepEqual(told, ['one'], 'the sync that ran says nothing about what was written behind its beginning');
  ask('four');
  syncs[1]?.end();
  await until(() => syncs.length === 3);
  t.deepEqual(told, ['one', 'two', 'three']);
  syncs[2]?.end();
  await until(() => told.length === 4);
  t.deepEqual(told, ['one', 'two', 'three', 'four']);
  await log.close();
});

test('after a sync that failed nothing counts as durable any more', async (t) => {
  const { log, syncs } = await controlled(t);
  const first = log.reached();
  await until(() => syncs.length === 1);
  const second = log.reached();
  syncs[0]?.end(new Error('EIO'));
  await t.throwsAsync(first, { message: 'EIO' });
  await t.throwsAsync(second, { message: 'EIO' });
  await t.throwsAsync(log.reached(), { message: 'EIO' });
  t.is(syncs.length, 1);
  await log.close();
});

test('a log that could not be opened is opened at the next call: nothing was lost', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-log-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const file = path.join(dir, 'log');
  const log = new LogSync(file);
  await t.throwsAsync(log.reached(), { code: 'ENOENT' });
  await writeFile(file, 'log');
  await log.reached();
  await log.close();
  t.pass();
});

test('closing waits for the sync that runs', async (t) => {
  const { log, syncs } = await controlled(t);
  const reached = log.reached();
  await until(() => syncs.length === 1);
  let isClosed = false;
  const closing = log.close().then(() => (isClosed = true));
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
  t.false(isClosed);
  syncs[0]?.end();
  await reached;
  await closing;
  t.true(isClosed);
});
