import test from 'ava';
import type { NewEvent, NodeRecord } from '../../../src/store/records.js';
import type { OpenTestStore } from './open-test-store.js';

const event: NewEvent = {
  at: 1_700_000_000_123,
  node: 'n1',
  stage: 'kernel',
  detail: 'linux',
  bytes: null,
  ms: null,
  generation: null,
  client: null,
};

function nodeNamed(name: string): NodeRecord {
  return { name, macs: [], ip: null, uuid: null, serial: null, groups: [], attributes: {} };
}

async function sumOf(numbers: AsyncIterable<number>): Promise<number> {
  let sum = 0;
  for await (const number of numbers) sum += number;
  return sum;
}

/** Facts about how long events are kept that hold in every database. */
export function eventFacts(open: OpenTestStore): void {
  test('old events go, and those there are too many of, but of no node that is known its last ones', async (t) => {
    const { store } = await open(t);
    await store.nodes.putAll([nodeNamed('n1'), nodeNamed('n3')]);
    const names = ['n1', 'n2', null, 'n3', 'n1'];
    const appended = Array.from({ length: 60 }, (_, at) => ({
      ...event,
      node: names[at % names.length] ?? null,
      at: 1000 + at,
    }));
    await store.events.appendAll(appended);
    const keep = 3;
    for (const { before, most } of [
      { before: 0, most: 60 },
      { before: 1000, most: 1000 },
      { before: 1020, most: 1000 },
      { before: 1000, most: 35 },
      { before: 1030, most: 20 },
      { before: 1058, most: 1000 },
      { before: 9999, most: 1 },
    ]) {
      const there = await store.events.since(0, 100);
      const last = there.at(-1)?.id ?? 0;
      const expected = there.filter(({ id, at, node }, index) => {
        const later = there.slice(index + 1).filter((other) => other.node === node).length;
        if ((node === 'n1' || node === 'n3') && later < keep) return true;
        return at >= before && id > last - most;
      });
      let removed = 0;
      for await (const some of store.events.prune({ before, most, keep })) removed += some;
      t.deepEqual(await store.events.since(0, 100), expected, `before ${before}, most ${most}`);
      t.is(removed, there.length - expected.length);
    }
    t.is((await store.events.ofNode('n1', 100)).length, keep);
    t.is((await store.events.ofNode('n3', 100)).length, keep);
  });

  test('a long history goes a little at a time, and new events come in between', async (t) => {
    const { store } = await open(t);
    await store.nodes.putAll([nodeNamed('n1')]);
    t.is(await sumOf(store.events.prune({ before: 9999, most: 1, keep: 1 })), 0);
    const many = Array.from({ length: 250 }, (_, at) => `gone-${at}`);
    for (const node of ['n1', 'n2', ...many])
      await store.events.appendAll(
        Array.from({ length: node === 'n1' ? 1200 : 3 }, () => ({ ...event, node })),
      );
    const steps: number[] = [];
    for await (const removed of store.events.prune({ before: event.at + 1, most: 10_000, keep: 100 })) {
      steps.push(removed);
      await store.events.append({ ...event, at: event.at + 2 });
    }
    t.true(Math.max(...steps) <= 500, String(steps));
    const left = await store.events.since(0, 1000);
    const added = left.filter(({ at }) => at > event.at).length;
    t.is(added, steps.length);
    t.deepEqual(new Set(left.map(({ node }) => node)), new Set(['n1']));
    t.true(left.length - added <= 100 && left.length >= 100, `${left.length} with ${added} new`);
  });

  test('a clock that ran ahead for a while costs no history', async (t) => {
    const { store } = await open(t);
    const times = [10, 11, 9000, 9001, 12, 13];
    await store.events.appendAll(times.map((at) => ({ ...event, at })));
    t.is(await sumOf(store.events.prune({ before: 10, most: 100, keep: 1 })), 0);
    t.true((await sumOf(store.events.prune({ before: 12, most: 100, keep: 1 }))) <= 2);
    t.deepEqual(
      (await store.events.since(2, 100)).map(({ at }) => at),
      times.slice(2),
    );
  });
}
