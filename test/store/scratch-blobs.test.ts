import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { collect } from '../../src/image/chunks.js';
import { sha256 } from '../../src/store/digest.js';
import { readBlob } from '../../src/store/extents.js';
import { ScratchBlobs } from '../../src/store/scratch-blobs.js';

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1000) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(at, at + 1000);
  }
}

test('blobs and streams that are put at one time are all read back', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-scratch-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const blobs = await ScratchBlobs.in(directory);
  t.teardown(() => blobs.close());
  const contents = fc.array(fc.uint8Array({ minLength: 1, maxLength: 5000 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(contents, async (all) => {
      const put = await Promise.all(
        all.map((bytes, at) => {
          const buffer = Buffer.from(bytes);
          return at % 2 === 0
            ? blobs.put(buffer)
            : blobs.putStream(inPieces(buffer)).then(({ digest }) => digest);
        }),
      );
      for (const [at, digest] of put.entries()) {
        const expected = Buffer.from(all[at] ?? []);
        if (digest !== sha256(expected)) return false;
        if (!(await readBlob(blobs, digest)).equals(expected)) return false;
      }
      return true;
    }),
    { numRuns: 30 },
  );
  t.pass();
});

test('a stream that fails leaves those after it alone', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-scratch-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const blobs = await ScratchBlobs.in(directory);
  t.teardown(() => blobs.close());
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('begun');
    await Promise.resolve();
    throw new Error('gone');
  }
  const failed = blobs.putStream(broken());
  const after = blobs.putStream(inPieces(Buffer.from('whole')));
  await t.throwsAsync(failed, { message: 'gone' });
  const { digest, size } = await after;
  t.is(size, 5);
  t.is((await readBlob(blobs, digest)).toString(), 'whole');
  t.is((await collect(blobs.readFile(join(directory, 'streams'), 5, 5))).toString(), 'whole');
});
