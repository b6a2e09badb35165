import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { run } from '../../src/cli/program.js';
import { sha256 } from '../../src/store/digest.js';
import { thisProcess } from '../../src/store/process.js';
import { makeMedia } from './media.js';

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

interface Site {
  readonly dir: string; // holds site/ and whatever a test puts beside it
  readonly rackboot: (...words: string[]) => Promise<Ended>;
  readonly ok: (...words: string[]) => Promise<string>;
  readonly json: (...words: string[]) => Promise<unknown>;
}

let media = '';
test.before(async () => {
  media = join(await mkdtemp(join(tmpdir(), 'rackboot-image-')), 'media');
  await makeMedia(media, 200_000);
});
test.after.always(() => rm(join(media, '..'), { recursive: true, force: true }));

/** A new site with the osimage d12. */
async function newSite(t: ExecutionContext): Promise<Site> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-image-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const rackboot = async (...words: string[]): Promise<Ended> => {
    const texts = ['', ''];
    const [stdout, stderr] = [0, 1].map(
      (at) =>
        new Writable({
          write(chunk: Buffer, _encoding, done) {
            texts[at] += chunk.toString('latin1');
            done();
          },
        }),
    );
    const status = await run(['--site', join(dir, 'site'), ...words], { stdout: stdout!, stderr: stderr! });
    const [out = '', err = ''] = texts.map((text) => Buffer.from(text, 'latin1').toString('utf8'));
    return { status, out, err };
  };
  const ok = async (...words: string[]): Promise<string> => {
    const { status, out, err } = await rackboot(...words);
    if (status !== 0) throw new Error(err);
    return out;
  };
  await ok('init');
  await ok('image', 'import', media, '--name', 'd12');
  return { dir, rackboot, ok, json: async (...words) => JSON.parse(await ok('--json', ...words)) as unknown };
}

/** Makes a layer of files by path; gives back its path. */
async function layer(
  site: Site,
  name: string,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<string> {
  const dir = join(site.dir, name);
  for (const [file, content] of Object.entries(files)) {
    await mkdir(join(dir, file, '..'), { recursive: true });
    await writeFile(join(dir, file), content);
  }
  return dir;
}

test('a file is put, changed, printed, compared, taken back and deleted', async (t) => {
  const site = await newSite(t);
  await writeFile(join(site.dir, 'motd'), 'new\n');
  await site.ok('image', 'put', 'd12', '--mode', '600', `${join(site.dir, 'motd')}:/etc/motd`);
  t.is(await site.ok('image', 'cat', 'd12', '/etc/motd'), 'new\n');
  t.is(await site.ok('image', 'cat', 'd12@1', '/etc/motd'), 'hello\n');
  t.regex(await site.ok('image', 'files', 'd12', '/etc/motd'), /-rw-------.* \/etc\/motd/);
  await site.ok('image', 'chmod', 'd12', '0644', '/etc/motd');
  t.regex(await site.ok('image', 'diff', 'd12'), /~ \/etc\/motd {2}mode/);
  t.regex(await site.ok('image', 'diff', 'd12', '1'), /~ \/etc\/motd/);
  await site.ok('image', 'rollback', 'd12');
  t.regex(await site.ok('image', 'files', 'd12', '/etc/motd'), /-rw-------/);
  await site.ok('image', 'delete', 'd12', '/etc');
  t.regex((await site.rackboot('image', 'cat', 'd12', '/etc/motd')).err, /not in the image/);
  const history = (await site.json('image', 'history', 'd12')) as { number: number; current: boolean }[];
  t.deepEqual(
    history.map(({ number, current }) => [number, current]),
    [
      [4, true],
      [3, false],
      [2, false],
      [1, false],
    ],
  );
});

test('odd names are taken as they are printed', async (t) => {
  const site = await newSite(t);
  const file = join(site.dir, 'f');
  await writeFile(file, 'odd');
  for (const [typed, printed] of [
    ['/etc/a\nb', '/etc/a\\x0ab'],
    ['/etc/\\xff\\x41', '/etc/\\xffA'],
    ['/etc/back\\\\slash', '/etc/back\\\\slash'],
  ] as const) {
    await site.ok('image', 'put', 'd12', `${file}:${typed}`);
    const [entry] = (await site.json('image', 'files', 'd12', typed)) as { path: string }[];
    t.is(entry?.path, printed);
    t.is(await site.ok('image', 'cat', 'd12', printed), 'odd');
    await site.ok('image', 'delete', 'd12', printed);
    t.is((await site.rackboot('image', 'cat', 'd12', printed)).status, 1);
  }
});

test('the same inputs make the same ids and the same bytes on every site', async (t) => {
  const made = [];
  for (const site of [await newSite(t), await newSite(t)]) {
    const l = await layer(site, 'rack7', { 'overlay/etc/hello': 'hello', bootargs: 'quiet # no noise\n' });
    await site.ok('image', 'build', 'd12', '--layers', l, '--set', 'a=1');
    await site.ok('image', 'put', 'd12', `${join(l, 'bootargs')}:/etc/args`);
    const history = (await site.json('image', 'history', 'd12')) as { generation: string; files: unknown }[];
    made.push(history.map(({ generation, files }) => ({ generation, files })));
  }
  t.is(made[0]?.length, 3);
  t.deepEqual(made[0], made[1]);
});

test('a mistake in boot arguments is at its line', async (t) => {
  const site = await newSite(t);
  const l = await layer(site, 'rack7', { bootargs: '# arguments\n\nquiet\n  x={{ node.nosuch }}\n' });
  const { status, err } = await site.rackboot('image', 'build', 'd12', '--layers', l);
  t.is(status, 1);
  t.regex(err, /rack7\/bootargs line 4: undefined variable: node\.nosuch; known are: node\.name, /);
  await writeFile(
    join(l, 'bootargs'),
    await readFile(join(l, 'bootargs'), 'utf8').then((x) => x.replace('nosuch', 'name')),
  );
  await site.ok('image', 'build', 'd12', '--layers', l);
  const { boot } = (await site.json('image', 'show', 'd12')) as { boot: { args: string }[] };
  t.regex(boot[0]?.args ?? '', /quiet x=\{\{ node\.name \}\}$/);
});

test('where a generation’s parent was collected, going back and comparing say what is left', async (t) => {
  const site = await newSite(t);
  for (const text of ['one', 'two', 'three']) {
    await writeFile(join(site.dir, 'f'), text);
    await site.ok('image', 'put', 'd12', `${join(site.dir, 'f')}:/f`);
  }
  await site.ok('image', 'rollback', 'd12', '1');
  await site.ok('image', 'rollback', 'd12', '4');
  await site.ok('image', 'rm', 'd12@3');
  for (const command of ['rollback', 'diff']) {
    const { status, err } = await site.rackboot('image', command, 'd12');
    t.is(status, 1);
    t.regex(
      err,
      /generation 4 was made from \([0-9a-f]{12}\) was removed; left are 2, 1; name one: rackboot image/,
    );
  }
  await site.ok('gc', '--keep', '0');
  t.regex((await site.rackboot('image', 'rollback', 'd12')).err, /was removed; there is no other/);
});

test('a setting without a value is taken away, and the time of new entries is shown', async (t) => {
  const site = await newSite(t);
  const settings = async (): Promise<unknown> =>
    ((await site.json('image', 'show', 'd12')) as { settings: unknown }).settings;
  await site.ok('image', 'build', 'd12', '--set', 'a=1', '--set', 'b=x=y');
  t.deepEqual(await settings(), { a: '1', b: 'x=y' });
  await site.ok('image', 'build', 'd12', '--set', 'a=');
  t.deepEqual(await settings(), { b: 'x=y' });
  t.regex(await site.ok('image', 'show', 'd12'), /^epoch {8}none$/m);
});

test('an ISO is written through a symbolic link, and leftovers of a killed run go', async (t) => {
  const site = await newSite(t);
  const out = join(site.dir, 'out');
  await mkdir(join(out, 'real'), { recursive: true });
  await symlink('real/d12.iso', join(out, 'link.iso'));
  const { host, pid, started } = thisProcess();
  const tag = `.d12.iso.${sha256(host).slice(0, 8)}`;
  const running = `${tag}-${pid}-${started}.0123abcd`;
  await writeFile(join(out, 'real', running), 'whole soon');
  const leftover = `${tag}-${2 ** 22 + 1}-77.0123abcd`;
  await writeFile(join(out, 'real', leftover), 'half');
  await writeFile(join(out, 'real', '.d12.iso.swp'), 'an editor’s');
  for (let times = 0; times < 2; times++) {
    await site.ok('image', 'iso', 'd12', '-o', join(out, 'link.iso'));
    t.is(await readlink(join(out, 'link.iso')), 'real/d12.iso');
    t.deepEqual((await readdir(join(out, 'real'))).sort(), [running, '.d12.iso.swp', 'd12.iso']);
  }
  await symlink('loop.iso', join(out, 'loop.iso'));
  t.is((await site.rackboot('image', 'iso', 'd12', '-o', join(out, 'loop.iso'))).status, 1);
});

test('removals that remove nothing are told, those that do are not', async (t) => {
  const site = await newSite(t);
  const l = await layer(site, 'rack7', { removals: '/etc/mtod\n/etc/motd\n' });
  const { err } = await site.rackboot('image', 'build', 'd12', '--layers', l);
  t.is(err, 'layer rack7: removals: /etc/mtod is not in the image, so nothing was removed\n');
  await site.ok('image', 'build', 'd12', '--layers', '');
  await writeFile(join(l, 'removals'), '/nope\n');
  const { missedRemovals } = (await site.json('image', 'build', 'd12', '--layers', l)) as {
    missedRemovals: unknown;
  };
  t.deepEqual(missedRemovals, [{ from: 'layer rack7', path: '/nope' }]);
});
