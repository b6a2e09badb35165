import { open, readdir, rename, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Digest } from '../../src/store/digest.js';
import type { Store } from '../../src/store/records.js';
import type { Site } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { noise, putAll, temporaryStore } from './temporary-site.js';

async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte[0] = byte.readUInt8() ^ 1;
  await file.write(byte, 0, 1, offset);
  await file.close();
}

async function onePack(site: Site): Promise<string> {
  const [name] = await readdir(join(site.paths.store, 'packs'));
  return join(site.paths.store, 'packs', name!);
}

async function placeOf(store: Store, blob: Digest): Promise<{ path: string; offset: number; size: number }> {
  return (await store.blobs.locate([blob])).get(blob)!;
}

test('a whole store has no problems, and progress ends at its size', async (t) => {
  const { store } = await temporaryStore(t);
  await putAll(store, ['', 'a', 'bc', noise(1, 5000)]);
  await store.write('long', (writer) =>
    writer.putStream(
      (async function* (): AsyncGenerator<Buffer> {
        yield noise(2, 5_000_000);
      })(),
    ),
  );
  const seen: [number, number][] = [];
  const result = await store.verify((done, total) => seen.push([done, total]));
  t.deepEqual(result, { blobs: 5, bytes: 5_005_003, problems: [] });
  t.deepEqual(seen.at(-1), [5_005_003, 5_005_003]);
});

test('a flipped bit is found, and only the blob it lies in', async (t) => {
  const { site, store } = await temporaryStore(t);
  const digests = await putAll(store, [noise(1, 2000), noise(2, 3000), noise(3, 4000)]);
  const { path, offset } = await placeOf(store, digests[1]!);
  await flip(path, offset + 1234);
  const { problems } = await store.verify();
  t.is(path, await onePack(site));
  t.deepEqual(problems, [{ pack: path.slice(-37), blob: digests[1]!, problem: 'its bytes have changed' }]);
});

test('every byte of a small pack counts', async (t) => {
  const { site, store } = await temporaryStore(t);
  await putAll(store, ['some', 'few', 'bytes']);
  const path = await onePack(site);
  for (let at = 8; at < 8 + 12 + 3 * 48 + 56; at++) {
    await flip(path, at);
    t.is((await store.verify()).problems.length, 1, `byte ${at}`);
    await flip(path, at);
  }
  t.deepEqual((await store.verify()).problems, []);
});

test('a pack cut short is found', async (t) => {
  const { site, store } = await temporaryStore(t);
  const [, last] = await putAll(store, [noise(1, 2000), noise(2, 3000)]);
  await store.close();
  await truncate(await onePack(site), 8 + 2000 + 2999);
  const again = await openStore(site);
  t.teardown(() => again.close());
  const { problems } = await again.verify();
  t.is(problems.length, 2);
  t.is(problems[0]?.blob, last);
  t.regex(problems[0]?.problem ?? '', /ends 1 bytes early/);
  t.is(problems[1]?.blob, null);
});

test('a missing pack is found, with every blob it held', async (t) => {
  const { site, store } = await temporaryStore(t);
  const digests = await putAll(store, ['a', 'b']);
  const path = await onePack(site);
  await rename(path, join(site.dir, 'elsewhere'));
  const { problems } = await store.verify();
  t.deepEqual(problems.map(({ blob }) => String(blob)).sort(), [...digests, 'null'].sort());
  t.true(problems.every(({ problem }) => problem === 'the pack is missing'));
});
