import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { loadRunKey, readRun, signRun } from '../../src/node/run-token.js';

const key = Buffer.alloc(32, 7);
const run = { node: 'n1', since: 1_790_000_000_123, generation: 'abcdef0123456789'.repeat(4) };

test('a run reads back for its node only', (t) => {
  const text = signRun(key, run);
  t.regex(text, /^[A-Za-z0-9_.-]+$/);
  t.deepEqual(readRun(key, 'n1', text), { ...run, generation: run.generation.slice(0, 16) });
  t.is(readRun(key, 'n2', text), undefined);
  t.is(readRun(Buffer.alloc(32, 8), 'n1', text), undefined);
});

test('no changed text is a run', (t) => {
  const text = signRun(key, run);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.stringMatching(/^[A-Za-z0-9_.-]$/), (at, letter) => {
      const changed = text.slice(0, at) + letter + text.slice(at + 1);
      // The last letter of 16 bytes in base64url carries four bits that say nothing.
      return changed === text || readRun(key, 'n1', changed) === undefined;
    }),
  );
  t.is(readRun(key, 'n1', ''), undefined);
});

test('the key is made once, private, and kept', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-key-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const keys = await Promise.all([loadRunKey(dir), loadRunKey(dir), loadRunKey(dir)]);
  const again = await loadRunKey(dir);
  t.is(again.length, 32);
  for (const made of keys) t.deepEqual(made, again);
  t.is((await stat(join(dir, 'run.key'))).mode & 0o777, 0o600);
  await writeFile(join(dir, 'run.key'), 'short');
  await t.throwsAsync(loadRunKey(dir), {
    name: 'NodeError',
    message: /run\.key: holds 5 bytes instead of 32; .*delete it/,
  });
});
