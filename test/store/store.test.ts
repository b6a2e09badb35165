import { execFileSync } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { sha256, type Digest } from '../../src/store/digest.js';
import { readBlob, readRange } from '../../src/store/extents.js';
import { openStore } from '../../src/store/store.js';
import { readPackIndex } from '../../src/store/pack-reader.js';
import { holds, noise, putAll, putEach, temporaryStore } from './temporary-site.js';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const smallPacks = { packBytes: 64 * kibibyte, packBlobs: 50, streamBytes: 16 * kibibyte };

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('what is put is read back, byte for byte, also after the store was closed', async (t) => {
  const { site, store } = await temporaryStore(t);
  const contents = ['', 'a', 'hello', noise(1, 3 * mebibyte + 1)];
  const digests = await putAll(store, contents);
  await store.close();
  const again = await openStore(site);
  t.teardown(() => again.close());
  for (const [index, digest] of digests.entries()) {
    const bytes = Buffer.from(contents[index]!);
    t.is(digest, sha256(bytes));
    t.true((await readBlob(again.blobs, digest)).equals(bytes));
  }
});

test('nothing is visible before seal, everything after it', async (t) => {
  const { store } = await temporaryStore(t);
  await store.write('test', async (writer) => {
    const first = await writer.put(Buffer.from('first'));
    t.false(await holds(store, first));
    await writer.seal();
    t.true(await holds(store, first));
    const second = await writer.put(Buffer.from('second'));
    t.false(await holds(store, second));
  });
  t.true(await holds(store, sha256('second')), 'a write that returns is sealed');
});

test('a write that throws keeps what it sealed, discards the rest, and leaves no file behind', async (t) => {
  const { site, store } = await temporaryStore(t, { limits: smallPacks });
  await t.throwsAsync(
    store.write('test', async (writer) => {
      await writer.put(Buffer.from('sealed'));
      await writer.seal();
      await writer.put(Buffer.from('unsealed'));
      await writer.putStream(pieces(noise(3, 100 * kibibyte), 7777));
      throw new Error('changed my mind');
    }),
    { message: 'changed my mind' },
  );
  t.true(await holds(store, sha256('sealed')));
  t.false(await holds(store, sha256('unsealed')));
  t.deepEqual(await readdir(join(site.paths.store, 'tmp')), []);
  t.is((await readdir(join(site.paths.store, 'packs'))).length, 1);
});

test('a blob that is there is not written again, whoever put it', async (t) => {
  const { site, store } = await temporaryStore(t);
  const content = noise(4, mebibyte);
  await putAll(store, [content, content]);
  await putAll(store, [content]);
  await store.write('test', (writer) => writer.putStream(pieces(content, 1000)));
  const packs = await readdir(join(site.paths.store, 'packs'));
  const sizes = await Promise.all(
    packs.map(async (name) => (await stat(join(site.paths.store, 'packs', name))).size),
  );
  t.is(sizes.filter((size) => size > mebibyte).length, 1);
  t.true(sizes.reduce((sum, size) => sum + size, 0) < mebibyte + 1000);
});

for (const [length, piece] of [
  [0, 1],
  [1, 1],
  [16 * kibibyte, 1000],
  [16 * kibibyte + 1, 1000],
  [3 * mebibyte + 5, 100_001],
  [3 * mebibyte, 2 * mebibyte],
] as const) {
  test(`a stream of ${length} bytes in pieces of ${piece} is one blob`, async (t) => {
    const { store } = await temporaryStore(t, { limits: smallPacks });
    const bytes = noise(length, length);
    const result = await store.write('test', (writer) => writer.putStream(pieces(bytes, piece)));
    t.deepEqual(result, { digest: sha256(bytes), size: length });
    t.true((await readBlob(store.blobs, result.digest)).equals(bytes));
  });
}

test('a stream that fails fails alone: the write goes on, without a trace of it', async (t) => {
  const { site, store } = await temporaryStore(t, { limits: smallPacks });
  async function* failing(): AsyncGenerator<Buffer> {
    yield noise(1, 100 * kibibyte);
    throw new Error('network gone');
  }
  await store.write('test', async (writer) => {
    await writer.put(Buffer.from('before'));
    await t.throwsAsync(writer.putStream(failing()), { message: 'network gone' });
    await writer.put(Buffer.from('after'));
  });
  t.true(await holds(store, sha256('before')));
  t.true(await holds(store, sha256('after')));
  t.is((await readdir(join(site.paths.store, 'packs'))).length, 1);
  t.deepEqual(await readdir(join(site.paths.store, 'tmp')), []);
});

test('a stream may put blobs of its own while it is read', async (t) => {
  const { store } = await temporaryStore(t, { limits: smallPacks });
  const inner: Digest[] = [];
  const outer = await store.write('test', (writer) => {
    async function* source(): AsyncGenerator<Buffer> {
      for (let round = 0; round < 20; round++) {
        inner.push(await writer.put(noise(round, 5000)));
        yield noise(1000 + round, 9000);
      }
    }
    return writer.putStream(source());
  });
  t.is(outer.size, 20 * 9000);
  for (const digest of [...inner, outer.digest]) t.true(await holds(store, digest));
});

test('puts may run side by side, of the same blob too, over several packs', async (t) => {
  const { site, store } = await temporaryStore(t, { limits: smallPacks });
  const contents = Array.from({ length: 300 }, (_, index) =>
    noise(index % 200, 1 + (((index % 200) * 37) % 3000)),
  );
  const digests = await store.write('test', (writer) =>
    Promise.all(contents.map((bytes) => writer.put(bytes))),
  );
  for (const [index, digest] of digests.entries()) {
    t.true((await readBlob(store.blobs, digest)).equals(contents[index]!));
  }
  const packs = await readdir(join(site.paths.store, 'packs'));
  t.true(packs.length > 3);
  const listed = (
    await Promise.all(packs.map((name) => readPackIndex(join(site.paths.store, 'packs', name))))
  ).flat();
  t.is(listed.length, 200, 'each blob lies in one pack, and the packs say so themselves');
  t.deepEqual(listed.map((entry) => entry.digest).sort(), [...new Set(digests)].sort());
});

test('a put after the write has ended is refused', async (t) => {
  const { store } = await temporaryStore(t);
  const writer = await store.write('test', async (inside) => inside);
  await t.throwsAsync(writer.put(Buffer.from('late')), { code: 'CLOSED' });
  await t.throwsAsync(writer.seal(), { code: 'CLOSED' });
});

test('a blob that is not there has no place, and says its name', async (t) => {
  const { store } = await temporaryStore(t);
  const [here] = await putAll(store, ['here']);
  const missing = sha256('missing');
  await t.throwsAsync(store.blobs.locate([here!, missing]), {
    code: 'MISSING_BLOB',
    message: new RegExp(missing),
  });
});

test('thousands of blobs are located at once', async (t) => {
  const { store } = await temporaryStore(t);
  const digests = await putAll(
    store,
    Array.from({ length: 2500 }, (_, index) => `small ${index}`),
  );
  const places = await store.blobs.locate(digests);
  t.is(places.size, 2500);
  const map = {
    size: digests.reduce((sum, digest) => sum + places.get(digest)!.size, 0),
    parts: digests.map(
      (blob) => ({ kind: 'blob', blob, offset: 0, length: places.get(blob)!.size }) as const,
    ),
  };
  const chunks: Buffer[] = [];
  for await (const chunk of readRange(map, store.blobs, 0, map.size)) chunks.push(chunk);
  t.is(
    Buffer.concat(chunks).toString(),
    Array.from({ length: 2500 }, (_, index) => `small ${index}`).join(''),
  );
});

test('a stream of 200 MiB is stored and read in the memory of a few', async (t) => {
  const { store } = await temporaryStore(t);
  let most = 0;
  const sample = (): void => {
    most = Math.max(most, process.memoryUsage().arrayBuffers);
  };
  async function* long(): AsyncGenerator<Buffer> {
    const chunk = Buffer.alloc(256 * kibibyte);
    for (let round = 0; round < 800; round++) {
      chunk.writeUInt32BE(round);
      sample();
      yield Buffer.from(chunk);
    }
  }
  const { digest, size } = await store.write('test', (writer) => writer.putStream(long()));
  t.is(size, 200 * mebibyte);
  let read = 0;
  const map = { size, parts: [{ kind: 'blob', blob: digest, offset: 0, length: size } as const] };
  for await (const chunk of readRange(map, store.blobs, 0, size)) {
    read += chunk.length;
    sample();
  }
  t.is(read, size);
  t.true(most < 150 * mebibyte, `${most} bytes of buffers at one time`);
});

test('a closed store says so', async (t) => {
  const { store } = await temporaryStore(t);
  const [digest] = await putAll(store, ['x']);
  await store.close();
  await store.close();
  await t.throwsAsync(store.osimages.list(), { code: 'CLOSED' });
  await t.throwsAsync(store.blobs.locate([digest!]), { code: 'CLOSED' });
});

test('nothing in a site is readable by other users', async (t) => {
  const { site, store } = await temporaryStore(t);
  await putAll(store, ['secret']);
  const open = execFileSync('find', [site.dir, '-mindepth', '1', '-perm', '/077'], { encoding: 'utf8' });
  t.is(open, '');
});

test('a file in the way of the store is one clear line', async (t) => {
  const { site, store } = await temporaryStore(t);
  await store.close();
  const error = await t.throwsAsync(openStore({ ...site, paths: { ...site.paths, database: '/dev/null' } }));
  t.regex(error.message, /^\/dev\/null[^\n]*$/);
});

test('puts of one write never await one another for ever', async (t) => {
  const { store } = await temporaryStore(t, { limits: { ...smallPacks, packBytes: 1, streamBytes: 1 } });
  const results = await store.write('test', (writer) =>
    Promise.all([
      putEach(writer, ['one', 'two']),
      writer.putStream(pieces(Buffer.from('three'), 1)),
      writer.seal(),
      putEach(writer, ['three', 'four']),
    ]),
  );
  for (const digest of [...results[0], results[1].digest, ...results[3]]) t.true(await holds(store, digest));
});
