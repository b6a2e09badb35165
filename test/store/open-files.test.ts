import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { OpenFiles } from '../../src/store/open-files.js';
import { temporaryDirectory } from './temporary-site.js';

const mebibyte = 1024 * 1024;

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('a read that has begun goes on when its file is unlinked', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  await writeFile(path, Buffer.alloc(3 * mebibyte, 7));
  let read = 0;
  for await (const chunk of files.read(path, 0, 3 * mebibyte)) {
    if (read === 0) await rm(path);
    t.true(chunk.length <= mebibyte && chunk.every((byte) => byte === 7));
    read += chunk.length;
  }
  t.is(read, 3 * mebibyte);
});

test('a missing file is PACK_GONE, and is looked for again', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  await t.throwsAsync(collect(files.read(path, 0, 1)), { code: 'PACK_GONE' });
  await writeFile(`${path}.new`, 'x');
  await rename(`${path}.new`, path);
  t.is((await collect(files.read(path, 0, 1))).toString(), 'x');
});

test('a file that ends early is PACK_DAMAGED', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  await writeFile(path, 'four');
  await t.throwsAsync(collect(files.read(path, 2, 3)), {
    code: 'PACK_DAMAGED',
    message: /ends 1 bytes early/,
  });
});

test.serial('descriptors stay few however many files are read, and none stays after close', async (t) => {
  const dir = await temporaryDirectory(t);
  const before = openDescriptors();
  const files = new OpenFiles();
  const paths = Array.from({ length: 400 }, (_, index) => join(dir, `pack-${index}`));
  for (const path of paths) await writeFile(path, path);
  for (const path of paths) t.is((await collect(files.read(path, 0, path.length))).toString(), path);
  t.true(openDescriptors() <= before + 130, `${openDescriptors() - before} descriptors are open`);
  const together = await Promise.all(paths.map((path) => collect(files.read(path, 0, path.length))));
  t.deepEqual(together.map(String), paths);
  await files.close();
  await t.throwsAsync(collect(files.read(paths[0]!, 0, 1)), { code: 'CLOSED' });
  t.true(openDescriptors() <= before + 2);
});

test('what slow readers hold is bounded, however many they are', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  await writeFile(path, Buffer.alloc(mebibyte, 7));
  const readers: AsyncGenerator<Buffer>[] = [];
  let held = 0;
  for (const count of [10, 1000, 4096]) {
    while (readers.length < count) {
      const reader = files.read(path, 0, mebibyte);
      readers.push(reader);
      const { value } = (await reader.next()) as { value: Buffer };
      held += value.length;
    }
    t.true(held <= 16 * mebibyte + count * 16 * 1024, `${count} readers hold ${held} bytes`);
  }
  await Promise.all(readers.map((reader) => reader.return(undefined)));
  t.is((await collect(files.read(path, 0, mebibyte))).length, mebibyte);
});

test('lent buffers are used again, by one reader and by others, and hold what was read', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  const bytes = randomBytes(3 * mebibyte + 5);
  await writeFile(path, bytes);
  const buffers = new Set<ArrayBufferLike>();
  const readWhole = async (): Promise<void> => {
    let at = 0;
    for await (const buffer of files.read(path, 0, bytes.length, 'lent')) {
      t.true(buffer.equals(bytes.subarray(at, at + buffer.length)));
      at += buffer.length;
      buffers.add(buffer.buffer);
    }
    t.is(at, bytes.length);
  };
  for (let turn = 0; turn < 3; turn++) await readWhole();
  t.is(buffers.size, 1);
  await Promise.all(Array.from({ length: 20 }, readWhole));
  t.true([...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0) <= 16 * mebibyte);
});

test('lent buffers take no more memory however sizes change', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  await writeFile(path, Buffer.alloc(mebibyte, 7));
  const buffers = new Set<ArrayBufferLike>();
  let bytes = 0;
  for (const count of [1, 100, 7, 200, 30, 100]) {
    const readers = Array.from({ length: count }, () => files.read(path, 0, mebibyte, 'lent'));
    for (const reader of readers) {
      const { value } = (await reader.next()) as { value: Buffer };
      if (!buffers.has(value.buffer)) bytes += value.buffer.byteLength;
      buffers.add(value.buffer);
    }
    await Promise.all(readers.map((reader) => reader.return(undefined)));
  }
  t.true(bytes <= 16 * mebibyte + 200 * 16 * 1024, `${bytes} bytes in all`);
});

test('what was read a moment ago comes at once, yet everybody else has a turn between any two buffers', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  const bytes = randomBytes(8 * mebibyte + 5);
  await writeFile(path, bytes);
  let turns = 0;
  let timer = setImmediate(function turn() {
    turns++;
    timer = setImmediate(turn);
  });
  t.teardown(() => clearImmediate(timer));
  for (let time = 0; time < 3; time++) {
    let at = 0;
    let before = turns;
    for await (const buffer of files.read(path, 0, bytes.length, 'lent')) {
      t.true(buffer.equals(bytes.subarray(at, at + buffer.length)), `time ${time}, at ${at}`);
      t.true(turns > before, `nobody else had a turn before ${at}`);
      at += buffer.length;
      before = turns;
    }
    t.is(at, bytes.length);
  }
});

test('a file that was read a moment ago and ends early now is PACK_DAMAGED', async (t) => {
  const files = new OpenFiles();
  t.teardown(() => files.close());
  const path = join(await temporaryDirectory(t), 'pack');
  await writeFile(path, Buffer.alloc(mebibyte, 7));
  const drain = async (): Promise<void> => {
    for await (const buffer of files.read(path, 0, mebibyte, 'lent')) t.is(buffer[0], 7);
  };
  await drain();
  await drain();
  await truncate(path, mebibyte - 5);
  await t.throwsAsync(drain(), { code: 'PACK_DAMAGED', message: /ends 5 bytes early/ });
});
