import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { FileRun } from '../../src/store/file-run.js';
import { RecentPages } from '../../src/store/recent-pages.js';
import type { Piece } from '../../src/store/types.js';
import { writePieces, type KernelCalls } from '../../src/store/write-pieces.js';
import { fallocate } from '../../src/system/fallocate.js';
import { beginWriting } from '../../src/system/sync-file-range.js';

const MB = 1024 * 1024;

const notRead = (): never => {
  throw new Error('runs are copied from their descriptor');
};

const kernels: Readonly<Record<string, KernelCalls>> = {
  'the kernel’s help': { allocate: fallocate(), begin: beginWriting() },
  'no C library': { allocate: undefined, begin: undefined },
  'a file system that allocates nothing': {
    allocate: () => Promise.resolve(false),
    begin: () => Promise.resolve(),
  },
};

for (const [what, calls] of Object.entries(kernels)) {
  for (const size of ['known', 'unknown'] as const) {
    test(`runs of files and bytes between them are written in order: ${what}, size ${size}`, async (t) => {
      const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-pieces-'));
      t.teardown(() => rm(dir, { recursive: true, force: true }));
      const source = randomBytes(21 * MB + 77);
      await writeFile(path.join(dir, 'source'), source);
      const from = await open(path.join(dir, 'source'));
      t.teardown(() => from.close());
      const run = (offset: number, length: number): FileRun =>
        new FileRun(path.join(dir, 'source'), from.fd, new RecentPages(1000), offset, length, notRead);
      const between = [randomBytes(3), randomBytes(2 * MB + 1)] as const;
      const pieces: Piece[] = [run(13, 20 * MB), between[0], run(0, 1), between[1], run(20 * MB, MB + 77)];
      const expected = Buffer.concat([
        source.subarray(13, 13 + 20 * MB),
        between[0],
        source.subarray(0, 1),
        between[1],
        source.subarray(20 * MB),
      ]);
      const to = await open(path.join(dir, 'target'), 'wx');
      const seen: number[] = [];
      await writePieces(
        to,
        each(pieces),
        size === 'known' ? expected.length : undefined,
        (done) => seen.push(done),
        calls,
      ).finally(() => to.close());
      t.true((await readFile(path.join(dir, 'target'))).equals(expected));
      t.deepEqual(
        seen,
        seen.toSorted((a, b) => a - b),
      );
      t.is(seen.at(-1), expected.length);
    });
  }
}

test('a file that ends before its run does is damage, and says how much is missing', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-pieces-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await writeFile(path.join(dir, 'source'), randomBytes(100));
  const from = await open(path.join(dir, 'source'));
  t.teardown(() => from.close());
  const to = await open(path.join(dir, 'target'), 'wx');
  const run = new FileRun('source', from.fd, new RecentPages(1000), 50, 80, notRead);
  await t.throwsAsync(
    writePieces(to, each([run]), 80, () => undefined).finally(() => to.close()),
    { code: 'PACK_DAMAGED', message: /ends 30 bytes early/ },
  );
});

test('the kernel allocates a file, and begins to write it', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-pieces-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const file = await open(path.join(dir, 'file'), 'wx');
  try {
    t.true(await fallocate()?.(file.fd, 3 * MB));
    t.is((await file.stat()).size, 3 * MB);
    t.false(await fallocate()?.(file.fd, -1));
    await t.notThrowsAsync(async () => beginWriting()?.(file.fd, 0, 3 * MB));
  } finally {
    await file.close();
  }
});

async function* each(pieces: readonly Piece[]): AsyncGenerator<Piece> {
  yield* pieces;
}
