import { open, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { run } from '../../src/cli/program.js';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';

class Text extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function rackboot(...words: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const stdout = new Text();
  const stderr = new Text();
  const code = await run(words, { stdout, stderr });
  return { code, out: stdout.text, err: stderr.text };
}

async function siteWithGarbage(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-cli-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  t.is((await rackboot('--site', dir, 'init')).code, 0);
  const store = await openStore(await openSite(dir));
  await store.write('test', (writer) => writer.put(Buffer.alloc(2048, 1)));
  await store.close();
  return dir;
}

test('init says what it made, and refuses to make it twice', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'rackboot-cli-'));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  const dir = join(parent, 'site');
  const made = await rackboot('--json', 'init', dir);
  t.deepEqual(JSON.parse(made.out), { dir, config: join(dir, 'rackboot.yaml') });
  const again = await rackboot('--site', dir, 'init');
  t.is(again.code, 1);
  t.regex(again.err, /^[^\n]*already is a rackboot site[^\n]*\n$/);
});

test('store verify proves a whole store and names the damage in another', async (t) => {
  const dir = await siteWithGarbage(t);
  const whole = await rackboot('--site', dir, 'store', 'verify');
  t.is(whole.code, 0, whole.err);
  t.is(whole.out, '1 blobs, 2.0 KiB: all whole\n');
  const [pack] = await readdir(join(dir, 'store', 'packs'));
  const file = await open(join(dir, 'store', 'packs', pack!), 'r+');
  await file.write('x', 100);
  await file.close();
  const damaged = await rackboot('--site', dir, 'store', 'verify');
  t.is(damaged.code, 1);
  t.regex(damaged.out, new RegExp(`^${pack} blob [0-9a-f]{64}: its bytes have changed\n`));
  t.regex(damaged.err, /damaged; put the files named above back from a backup\.\n$/);
  const json = await rackboot('--site', dir, '--json', 'store', 'verify');
  t.is(json.code, 1);
  t.like(JSON.parse(json.out), {
    blobs: 1,
    bytes: 2048,
    problems: [{ pack, problem: 'its bytes have changed' }],
  });
});

test('gc says what it would remove, then removes it', async (t) => {
  const dir = await siteWithGarbage(t);
  const expected = { generations: 0, held: [], blobs: 1, files: 1, bytes: 2048 + 8 + 48 + 56 };
  const dry = await rackboot('--site', dir, '--json', 'gc', '--dry-run');
  t.deepEqual(JSON.parse(dry.out), { ...expected, dryRun: true });
  const real = await rackboot('--site', dir, 'gc', '--keep', '1');
  t.is(real.out, 'removed 0 generations, 1 blobs and 1 files: 2.1 KiB\n');
  const again = await rackboot('--site', dir, '--json', 'gc');
  t.deepEqual(JSON.parse(again.out), {
    generations: 0,
    held: [],
    blobs: 0,
    files: 0,
    bytes: 0,
    dryRun: false,
  });
});

test('gc refuses a count that is none, as wrong usage', async (t) => {
  const result = await rackboot('--site', '/nonexistent', 'gc', '--keep', 'few');
  t.is(result.code, 2);
  t.regex(result.err, /whole number/);
});

test('without a site both say how to make one', async (t) => {
  for (const words of [['gc'], ['store', 'verify']]) {
    const result = await rackboot('--site', '/nonexistent', ...words);
    t.is(result.code, 1);
    t.regex(result.err, /not a rackboot site; make one with: rackboot --site \/nonexistent init\n$/);
  }
});
