import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { sha256, type Digest } from '../../../src/store/digest.js';
import { readRange } from '../../../src/store/extents.js';
import type { GcResult } from '../../../src/store/records.js';
import type { Site } from '../../../src/site/site.js';
import { holds, noise, putAll, request } from '../temporary-site.js';
import type { OpenTestStore } from './open-test-store.js';

const nothing: GcResult = { generations: 0, blobs: 0, files: 0, bytes: 0, held: [] };
const run = { dryRun: false };
const a = sha256('a');
const b = sha256('b');
const c = sha256('c');

async function files(site: Site): Promise<string[]> {
  const packs = await readdir(join(site.paths.store, 'packs'));
  const temporary = await readdir(join(site.paths.store, 'tmp'));
  return [...packs, ...temporary];
}

/** Facts about what is collected and what is not that hold in every database. */
export function gcFacts(open: OpenTestStore): void {
  test('gc removes what nothing refers to, and nothing else', async (t) => {
    const { site, store } = await open(t);
    t.deepEqual(await store.gc(run), nothing);
    const [kept] = await putAll(store, ['kept']);
    const [lost] = await putAll(store, ['lost', noise(1, 5000)]);
    await store.osimages.publish(request([kept!], 'a', null), { create: true });
    const planned = await store.gc({ dryRun: true });
    t.true(await holds(store, lost!), 'a dry run removes nothing');
    t.is((await files(site)).length, 2);
    const result = await store.gc(run);
    t.deepEqual(result, planned);
    t.like(result, { generations: 0, blobs: 2, files: 1 });
    t.true(result.bytes > 5000);
    t.true(await holds(store, kept!));
    t.false(await holds(store, lost!));
    t.is((await files(site)).length, 1);
    t.deepEqual(await store.gc(run), nothing);
    await putAll(store, ['lost']);
    t.true(await holds(store, lost!), 'it can be put again');
  });

  test('gc leaves a running write alone: what it put, sealed, or found', async (t) => {
    const { store } = await open(t);
    const [found] = await putAll(store, ['found']);
    await store.write('test', async (writer) => {
      await writer.put(Buffer.from('found'));
      const sealed = await writer.put(Buffer.from('sealed'));
      await writer.seal();
      const unsealed = await writer.put(noise(1, 10_000));
      t.deepEqual(await store.gc(run), nothing);
      t.true(await holds(store, found!));
      t.true(await holds(store, sealed));
      await writer.seal();
      t.deepEqual(await store.gc(run), nothing);
      t.true(await holds(store, unsealed));
    });
    t.is((await store.gc(run)).blobs, 3);
    t.false(await holds(store, found!));
  });

  test('a write that gc took for dead makes nothing visible', async (t) => {
    let clock = 0;
    const { site, store } = await open(t, { now: () => clock });
    await t.throwsAsync(
      store.write('asleep', async (writer) => {
        await writer.put(Buffer.from('put'));
        clock += 3_600_000;
        await store.gc(run);
        await writer.seal();
      }),
      { code: 'LEASE_LOST', message: /gc took it for dead/ },
    );
    t.false(await holds(store, sha256('put')));
    await store.gc(run);
    t.deepEqual(await files(site), []);
  });

  test('a removed osimage’s blobs go, unless a lease holds them', async (t) => {
    let clock = 1000;
    const { store } = await open(t, { now: () => clock });
    const [blob] = await putAll(store, ['image']);
    await store.osimages.publish(request([blob!], 'a', null), { create: true });
    const lease = { kind: 'boot', holder: 'n1', osimage: 'd12', generation: a, expiresAt: 5000 } as const;
    await store.leases.holdGeneration(lease);
    await store.leases.holdGeneration({ ...lease, expiresAt: 9000 });
    await store.leases.holdGeneration({ ...lease, expiresAt: 2000 });
    await store.osimages.remove('d12');
    await store.leases.holdGeneration({ ...lease, expiresAt: 9500 });
    await t.throwsAsync(store.leases.holdGeneration({ ...lease, holder: 'n2' }), { code: 'NO_SUCH_OSIMAGE' });
    clock = 9499;
    const holders = [{ kind: 'boot', holder: 'n1', pid: null, expiresAt: 9500 }] as const;
    t.deepEqual(await store.gc(run), { ...nothing, held: [{ osimage: 'd12', id: a, bytes: 5, holders }] });
    t.true(await holds(store, blob!));
    clock = 9500;
    t.is((await store.gc(run)).blobs, 1);
    t.false(await holds(store, blob!));
  });

  test('what is being read stays until the read ends, however it ends', async (t) => {
    const { store } = await open(t);
    const [shared, only] = await putAll(store, ['shared', 'only a']);
    await store.osimages.publish(request([shared!, only!], 'a', null), { create: true });
    await store.osimages.publish(request([shared!], 'b', a), { create: false });
    const one = { osimage: 'd12', id: a };
    for (const end of ['returns', 'throws']) {
      const reading = store.read('image cat', [one, one], async () => {
        await store.osimages.removeGeneration('d12', a);
        t.like(await store.gc(run), {
          ...nothing,
          held: [
            {
              ...one,
              bytes: 6,
              holders: [
                { kind: 'read', holder: 'image cat', pid: process.pid },
                { kind: 'read', holder: 'image cat', pid: process.pid },
              ],
            },
          ],
        });
        t.true(await holds(store, only!));
        if (end === 'throws') throw new Error('broken off');
        return 'read';
      });
      if (end === 'throws') await t.throwsAsync(reading, { message: 'broken off' });
      else t.is(await reading, 'read');
      t.like(await store.gc(run), { blobs: 1, held: [] });
      t.false(await holds(store, only!));
      const gone = { code: 'NO_SUCH_GENERATION' };
      await t.throwsAsync(
        store.read('image cat', [{ osimage: 'd12', id: b }, one], async () => 0),
        gone,
      );
      await putAll(store, ['only a']);
      await store.osimages.publish(request([only!], 'a', b), { create: false });
      await store.osimages.publish(request([shared!], 'b', a), { create: false });
    }
  });

  test('--keep drops old generations, but none that is current, set or held', async (t) => {
    const { store } = await open(t, { now: () => 1000 });
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const [index, id] of ids.entries()) {
      const blobs = await putAll(store, ['shared', `only ${id}`]);
      const parent = index === 0 ? null : sha256(ids[index - 1]!);
      await store.osimages.publish(request(blobs, id, parent), { create: index === 0 });
    }
    const node = { name: 'n1', macs: [], ip: null, uuid: null, serial: null, groups: [], attributes: {} };
    await store.nodes.put(node);
    await store.nodes.assign([
      { node: 'n1', state: 'osimage', osimage: 'd12', generation: b, entry: null, since: 1 },
    ]);
    await store.leases.holdGeneration({
      kind: 'transfer',
      holder: 'server',
      osimage: 'd12',
      generation: c,
      expiresAt: 2000,
    });
    await store.osimages.setCurrent('d12', a);
    const planned = await store.gc({ dryRun: true, keep: 1 });
    const result = await store.gc({ dryRun: false, keep: 1 });
    t.deepEqual(result, planned);
    t.like(result, { generations: 2, blobs: 2 });
    t.deepEqual(
      (await store.osimages.history('d12')).map(({ note }) => note),
      ['f', 'c', 'b', 'a'],
    );
    for (const [id, kept] of Object.entries({ a: true, b: true, c: true, d: false, e: false, f: true })) {
      t.is(await holds(store, sha256(`only ${id}`)), kept, id);
    }
    t.true(await holds(store, sha256('shared')));
    await store.gc({ dryRun: false, keep: 0 });
    t.deepEqual(
      (await store.osimages.history('d12')).map(({ note }) => note),
      ['c', 'b', 'a'],
    );
    await t.throwsAsync(store.gc({ dryRun: true, keep: -1 }), { instanceOf: RangeError });
  });

  test('a pack more than half dead is rewritten, one less than half dead is not', async (t) => {
    const { site, store } = await open(t);
    const most = await putAll(
      store,
      Array.from({ length: 10 }, (_, index) => noise(index, 10_000)),
    );
    const few = await putAll(
      store,
      Array.from({ length: 10 }, (_, index) => noise(100 + index, 10_000)),
    );
    const kept = [...most.slice(0, 8), ...few.slice(3, 6)];
    await store.osimages.publish(request(kept, 'a', null), { create: true });
    const before = await store.blobs.locate([few[3]!, most[0]!]);
    const result = await store.gc(run);
    t.like(result, { blobs: 9, files: 1 });
    t.true(result.bytes > 70_000 && result.bytes < 75_000, `${result.bytes} bytes`);
    const after = await store.blobs.locate([few[3]!, most[0]!]);
    t.not(after.get(few[3]!)?.path, before.get(few[3]!)?.path);
    t.deepEqual(after.get(most[0]!), before.get(most[0]!));
    t.is((await files(site)).length, 2);
    for (const blob of kept) t.true(await holds(store, blob));
    t.deepEqual((await store.verify()).problems, []);
    t.deepEqual(await store.gc(run), nothing, 'once rewritten, it is left alone');
  });

  test('several half-dead packs become one', async (t) => {
    const { site, store } = await open(t);
    const kept: Digest[] = [];
    for (let round = 0; round < 6; round++) {
      const blobs = await putAll(store, [
        noise(round, 3000),
        noise(50 + round, 3000),
        noise(100 + round, 3000),
      ]);
      kept.push(blobs[1]!);
    }
    await store.osimages.publish(request(kept, 'a', null), { create: true });
    await store.gc(run);
    t.is((await files(site)).length, 1);
    for (const blob of kept) t.true(await holds(store, blob));
  });

  test('a read that has begun goes on through a gc that rewrites the packs it reads, opened already or not', async (t) => {
    const { store } = await open(t);
    const size = 2_500_000;
    const kept: Digest[] = [];
    for (let pack = 0; pack < 3; pack++) {
      const blobs = await putAll(
        store,
        Array.from({ length: 3 }, (_, index) => noise(pack * 10 + index, size)),
      );
      kept.push(blobs[1]!);
    }
    await store.osimages.publish(request(kept, 'a', null), { create: true });
    const parts = kept.map((blob) => ({ kind: 'blob', blob, offset: 0, length: size }) as const);
    const chunks: Buffer[] = [];
    for await (const chunk of readRange({ size: 3 * size, parts }, store.blobs, 0, 3 * size)) {
      if (chunks.length === 0) t.like(await store.gc(run), { blobs: 6, files: 3 });
      chunks.push(chunk);
    }
    const whole = Buffer.concat(chunks);
    t.deepEqual(
      kept.map((_, index) => sha256(whole.subarray(index * size, (index + 1) * size))),
      kept,
    );
  });

  test('gc removes packs that no row knows, and no other file', async (t) => {
    const { site, store } = await open(t);
    const [kept] = await putAll(store, ['kept']);
    await store.osimages.publish(request([kept!], 'a', null), { create: true });
    await writeFile(join(site.paths.store, 'packs', `${'0'.repeat(32)}.pack`), 'stray');
    await writeFile(join(site.paths.store, 'tmp', `${'1'.repeat(32)}.pack`), 'stray too');
    await writeFile(join(site.paths.store, 'packs', 'README'), 'not ours');
    t.deepEqual(await store.gc({ dryRun: true }), { ...nothing, files: 2, bytes: 14 });
    t.deepEqual(await store.gc(run), { ...nothing, files: 2, bytes: 14 });
    t.true((await files(site)).includes('README'));
    t.true(await holds(store, kept!));
  });

  test('after any sequence of puts, publishes, removals and collections exactly the published is there', async (t) => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('publish' as const),
        osimage: fc.constantFrom('p', 'q', 'r'),
        contents: fc.uniqueArray(fc.nat({ max: 30 }), { minLength: 1, maxLength: 8 }),
      }),
      fc.record({
        do: fc.constant('put' as const),
        contents: fc.array(fc.nat({ max: 30 }), { maxLength: 8 }),
      }),
      fc.record({ do: fc.constant('remove' as const), osimage: fc.constantFrom('p', 'q', 'r') }),
      fc.record({ do: fc.constant('gc' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        const { store } = await open(t, { limits: { packBytes: 3000, packBlobs: 4, streamBytes: 900 } });
        const published = new Map<string, Set<Digest>>();
        for (const [index, step] of steps.entries()) {
          if (step.do === 'gc') {
            await store.gc(run);
          } else if (step.do === 'remove') {
            if (published.delete(step.osimage)) await store.osimages.remove(step.osimage);
          } else {
            const blobs = await putAll(
              store,
              step.contents.map((seed) => noise(seed, seed * 50)),
            );
            if (step.do === 'put') continue;
            const parent = (await store.osimages.get(step.osimage))?.current ?? null;
            await store.osimages.publish(
              { ...request(blobs, `${index}`, parent), osimage: step.osimage },
              { create: parent === null },
            );
            published.set(step.osimage, new Set([...(published.get(step.osimage) ?? []), ...blobs]));
          }
        }
        await store.gc(run);
        const wanted = new Set([...published.values()].flatMap((blobs) => [...blobs]));
        for (let seed = 0; seed <= 30; seed++) {
          const blob = sha256(noise(seed, seed * 50));
          t.is(await holds(store, blob), wanted.has(blob), `seed ${seed}`);
        }
        t.deepEqual((await store.verify()).problems, []);
        await store.close();
      }),
      { numRuns: 15 },
    );
  });
}
