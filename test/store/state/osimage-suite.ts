import test from 'ava';
import { bootFromDisk } from '../../../src/node/nodeset.js';
import { sha256 } from '../../../src/store/digest.js';
import type { Reassign } from '../../../src/store/records.js';
import { putAll, request } from '../temporary-site.js';
import type { OpenTestStore } from './open-test-store.js';

const a = sha256('a');
const b = sha256('b');
const c = sha256('c');

/** Facts about osimages and their history that hold in every database. */
export function osimageFacts(open: OpenTestStore): void {
  test('publishing makes an osimage, its history and what is current', async (t) => {
    let clock = 1000;
    const { store } = await open(t, { now: () => clock });
    const blobs = await putAll(store, ['x', 'y']);
    const first = await store.osimages.publish(request(blobs, 'a', null), { create: true });
    clock = 2000;
    const second = await store.osimages.publish(request(blobs.slice(1), 'b', a), { create: false });
    t.deepEqual(first, {
      osimage: 'd12',
      id: a,
      number: 1,
      parent: null,
      createdAt: 1000,
      note: 'a',
      manifest: '{"id":"a"}',
    });
    t.is(second.number, 2);
    t.deepEqual(await store.osimages.list(), [
      { name: 'd12', family: 'generic', current: b, createdAt: 1000 },
    ]);
    t.deepEqual(await store.osimages.get('d12'), {
      name: 'd12',
      family: 'generic',
      current: b,
      createdAt: 1000,
    });
    t.deepEqual(await store.osimages.history('d12'), [second, first]);
    t.deepEqual(await store.osimages.generation('d12', a), first);
    t.is(await store.osimages.generation('d12', c), undefined);
    t.is(await store.osimages.get('other'), undefined);
    t.deepEqual(await store.osimages.history('other'), []);
  });

  test('what publishing refuses, it leaves no trace of', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    await t.throwsAsync(store.osimages.publish(request(blobs, 'a', null), { create: false }), {
      code: 'NO_SUCH_OSIMAGE',
    });
    await t.throwsAsync(store.osimages.publish(request([sha256('missing')], 'a', null), { create: true }), {
      code: 'MISSING_BLOB',
      message: new RegExp(sha256('missing')),
    });
    t.deepEqual(await store.osimages.list(), []);
    await store.osimages.publish(request(blobs, 'a', null), { create: true });
    await t.throwsAsync(store.osimages.publish(request(blobs, 'b', null), { create: true }), {
      code: 'OSIMAGE_EXISTS',
    });
    await store.osimages.publish(request(blobs, 'b', a), { create: false });
    await t.throwsAsync(store.osimages.publish(request(blobs, 'c', a), { create: false }), {
      code: 'STALE_PARENT',
    });
    t.deepEqual(
      (await store.osimages.history('d12')).map(({ number }) => number),
      [2, 1],
    );
  });

  test('an id that is in the history already is only made current', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    const first = await store.osimages.publish(request(blobs, 'a', null), { create: true });
    await store.osimages.publish(request(blobs, 'b', a), { create: false });
    const again = await store.osimages.publish(
      { ...request(blobs, 'a', b), note: 'again' },
      { create: false },
    );
    t.deepEqual(again, first);
    t.is((await store.osimages.get('d12'))?.current, a);
    t.is((await store.osimages.history('d12')).length, 2);
    const third = await store.osimages.publish(request(blobs, 'c', a), { create: false });
    t.is(third.number, 3);
  });

  test('of two builds on the same parent one is refused, whichever way they fall', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    await store.osimages.publish(request(blobs, 'a', null), { create: true });
    const results = await Promise.allSettled(
      ['b', 'c', 'd'].map((id) => store.osimages.publish(request(blobs, id, a), { create: false })),
    );
    t.is(results.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const result of results) {
      if (result.status === 'rejected') t.like(result.reason, { code: 'STALE_PARENT' });
    }
  });

  test('the same generation may stand in several osimages', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    await store.osimages.publish(request(blobs, 'a', null), { create: true });
    await store.osimages.publish({ ...request(blobs, 'a', null), osimage: 'copy' }, { create: true });
    await store.osimages.remove('d12');
    t.is((await store.osimages.generation('copy', a))?.number, 1);
    await store.gc({ dryRun: false });
    t.is((await store.blobs.locate(blobs)).size, 1);
  });

  test('rolling back and removing generations; numbers are never used twice', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    await store.osimages.publish(request(blobs, 'a', null), { create: true });
    await store.osimages.publish(request(blobs, 'b', a), { create: false });
    await t.throwsAsync(store.osimages.setCurrent('d12', c), { code: 'NO_SUCH_GENERATION' });
    await t.throwsAsync(store.osimages.setCurrent('d13', a), { code: 'NO_SUCH_OSIMAGE' });
    await t.throwsAsync(store.osimages.removeGeneration('d12', b), { code: 'GENERATION_IN_USE' });
    await t.throwsAsync(store.osimages.removeGeneration('d12', c), { code: 'NO_SUCH_GENERATION' });
    await store.osimages.setCurrent('d12', a);
    await store.osimages.removeGeneration('d12', b);
    const next = await store.osimages.publish(request(blobs, 'c', a), { create: false });
    t.is(next.number, 3);
  });

  test('what a node is set to is not removed', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    await store.osimages.publish(request(blobs, 'a', null), { create: true });
    await store.osimages.publish(request(blobs, 'b', a), { create: false });
    const node = { name: 'n1', macs: [], ip: null, uuid: null, serial: null, groups: [], attributes: {} };
    await store.nodes.put(node);
    const set = {
      node: 'n1',
      state: 'osimage',
      osimage: 'd12',
      generation: a,
      entry: null,
      since: 1,
    } as const;
    await store.nodes.assign([set]);
    await t.throwsAsync(store.osimages.removeGeneration('d12', a), {
      code: 'GENERATION_IN_USE',
      message: /generation [0-9a-f]{12}: n1 will boot it/,
    });
    await t.throwsAsync(store.osimages.remove('d12'), {
      code: 'OSIMAGE_IN_USE',
      message: /osimage d12: n1 will boot it/,
    });
    await store.nodes.assign([{ ...set, state: 'boot' }]);
    await store.osimages.removeGeneration('d12', a);
    await store.osimages.remove('d12');
    await t.throwsAsync(store.osimages.remove('d12'), { code: 'NO_SUCH_OSIMAGE' });
    t.deepEqual(await store.osimages.history('d12'), []);
  });

  test('what goes takes its nodes and their history along, or stays whole', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    await store.osimages.publish(request(blobs, 'a', null), { create: true });
    await store.osimages.publish(request(blobs, 'b', a), { create: false });
    const node = { name: 'n1', macs: [], ip: null, uuid: null, serial: null, groups: [], attributes: {} };
    await store.nodes.put(node);
    const other = { ...node, name: 'n2' };
    await store.nodes.put(other);
    const set = { node: 'n1', state: 'osimage', osimage: 'd12', entry: null, since: 1 } as const;
    const users = [
      { ...set, generation: a },
      { ...set, node: 'n2', generation: null },
    ];
    await store.nodes.assign(users);
    const refused: Reassign = () => ({
      assignments: [{ ...set, node: 'nobody', state: 'boot', generation: null }],
      events: [],
    });
    await t.throwsAsync(store.osimages.remove('d12', refused), { code: 'NO_SUCH_NODE' });
    t.deepEqual(await store.nodes.assignments(), users);
    t.is((await store.osimages.history('d12')).length, 2);

    const toDisk: Reassign = (rows) => bootFromDisk(rows, 50);
    t.deepEqual(await store.osimages.removeGeneration('d12', a, toDisk), users.slice(0, 1));
    t.deepEqual(await store.osimages.remove('d12', toDisk), users.slice(1));
    for (const name of ['n1', 'n2']) {
      t.like(await store.nodes.assignment(name), { state: 'boot', osimage: 'd12', since: 50 });
      t.like(await store.events.ofNode(name, 9), [{ stage: 'nodeset', detail: 'boot', at: 50 }]);
    }
  });

  test('names sort by their bytes', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    for (const name of ['b', 'B', 'a-1', 'a1', 'ä', '_', 'Z']) {
      await store.osimages.publish({ ...request(blobs, 'a', null), osimage: name }, { create: true });
    }
    t.deepEqual(
      (await store.osimages.list()).map(({ name }) => name),
      ['B', 'Z', '_', 'a-1', 'a1', 'b', 'ä'],
    );
  });

  test('a generation of 5,000 blobs', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(
      store,
      Array.from({ length: 5000 }, (_, index) => `blob ${index}`),
    );
    await store.osimages.publish(request([...blobs, ...blobs], 'a', null), { create: true });
    t.is((await store.gc({ dryRun: false })).blobs, 0);
    t.is((await store.blobs.locate(blobs)).size, 5000);
  });
}
