import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { StoreError } from '../../src/store/errors.js';
import { sweepScratch, withScratch } from '../../src/store/scratch.js';

const WEEK = 7 * 86_400_000;

async function newRoot(t: ExecutionContext): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'rackboot-scratch-'));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  return join(parent, 'scratch');
}

test('a scratch directory is empty, this user’s alone, and gone afterwards, whatever happened in it', async (t) => {
  const root = await newRoot(t);
  await withScratch(root, async (directory) => {
    t.deepEqual(await readdir(directory), []);
    await mkdir(join(directory, 'shut', 'in'), { recursive: true });
    await writeFile(join(directory, 'shut', 'in', 'file'), '');
    await chmod(join(directory, 'shut', 'in'), 0);
    await chmod(join(directory, 'shut'), 0);
  });
  t.deepEqual(await readdir(root), []);
  await t.throwsAsync(
    withScratch(root, () => Promise.reject(new Error('mine'))),
    { message: 'mine' },
  );
  t.deepEqual(await readdir(root), []);
});

test('what its owner closed to itself is removed without rights too', async (t) => {
  if (process.getuid?.() !== 0) {
    t.pass('the test above has proved it');
    return;
  }
  const root = await newRoot(t);
  await mkdir(root, { recursive: true });
  await chown(root, 65534, 65534);
  await chmod(join(root, '..'), 0o755);
  const module = new URL('../../src/store/scratch.js', import.meta.url).href;
  const code = `
    import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
    import { withScratch } from ${JSON.stringify(module)};
    await withScratch(${JSON.stringify(root)}, async (directory) => {
      mkdirSync(directory + '/shut');
      writeFileSync(directory + '/shut/file', '');
      chmodSync(directory + '/shut', 0);
      console.log('shut');
    });`;
  const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', process.execPath];
  const out = execFileSync('setpriv', [...nobody, '--input-type=module', '-e', code], { encoding: 'utf8' });
  t.is(out, 'shut\n');
  t.deepEqual(await readdir(root), []);
});

test('sweeping leaves what a running process has, and what is no scratch directory', async (t) => {
  const root = await newRoot(t);
  await withScratch(root, async (mine) => {
    const [, host = '', pid = '', started = ''] = /([^/]+?)-(\d+)-(\d+)-\w+$/.exec(mine) ?? [];
    const names = {
      dead: `${host}-${pid}-${Number(started) + 1}-abcdef`, // a later process of the same PID
      elsewhere: `0123456789abcdef-${pid}-${started}-abcdef`,
      elsewhereLongAgo: `0123456789abcdef-${pid}-${started}-ghijkl`,
      stranger: 'notes',
    };
    for (const name of Object.values(names)) await mkdir(join(root, name));
    const now = Date.now();
    const old = new Date(now - WEEK - 60_000);
    await utimes(join(root, names.elsewhereLongAgo), old, old);
    await utimes(join(root, names.stranger), old, old);
    t.is(await sweepScratch(root, now), 2);
    t.deepEqual(
      (await readdir(root)).sort(),
      [mine.slice(root.length + 1), names.elsewhere, names.stranger].sort(),
    );
  });
});

test('sweeping where there never was any finds nothing', async (t) => {
  t.is(await sweepScratch(await newRoot(t), 0), 0);
});

test('no place for it is one line about the store', async (t) => {
  const root = await newRoot(t);
  await writeFile(root, 'a file');
  const error = await t.throwsAsync(
    withScratch(root, () => Promise.resolve()),
    { instanceOf: StoreError },
  );
  t.is(error.code, 'IO');
  t.false(error.message.includes('\n'));
});
