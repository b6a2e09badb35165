import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { noise } from '../store/temporary-site.js';
import { makeMedia, runProgram } from './media.js';

test('on a full disk every command says so, leaves what was there, and works when there is room', async (t) => {
  t.timeout(120_000);
  const work = await mkdtemp(join(tmpdir(), 'rackboot-full-'));
  t.teardown(() => rm(work, { recursive: true, force: true }));
  await mkdir(join(work, 'disk'));
  for (const name of ['media', 'large']) await makeMedia(join(work, name), 400_000);
  await writeFile(join(work, 'large', 'linux'), noise(1, 12_000_000));
  await mkdir(join(work, 'layer', 'overlay'), { recursive: true });
  await writeFile(join(work, 'layer', 'overlay', 'large'), noise(2, 12_000_000));

  const script = fileURLToPath(new URL('children/full-site.js', import.meta.url));
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const { stdout } = await promisify(execFile)(
    'unshare',
    ['--mount', ...rights, process.execPath, script, work, join(work, 'disk')],
    { timeout: 100_000 },
  );
  const whole = { status: 1, out: '', osimages: 1, same: true, verified: 0, temporary: 0, beside: ['site'] };
  const full = 'rackboot: DISK/site/store: no space left; free some on that disk, or run: rackboot gc\n';
  t.deepEqual(JSON.parse(stdout), {
    import: { ...whole, err: full },
    put: { ...whole, err: full },
    build: { ...whole, err: full },
    iso: {
      ...whole,
      err: 'rackboot: DISK/d12.iso: cannot be written: that disk is full; nothing was left there, choose another place\n',
    },
    full: {
      status: 1,
      out: '',
      err: 'rackboot: DISK/site/state.db: no space left; free some on that disk.\n',
    },
    freed: 0,
    kept: 100_000,
    verify: 0,
  });
});

const BEYOND = [
  [
    'of the ISO',
    20_000_000,
    /^rackboot: \S+\/d12\.iso: cannot be written: a file cannot be that large there; nothing was left there, choose another place$/m,
  ],
  [
    'of a file in it',
    5_000_000,
    /^rackboot: \/\S+: the ISO cannot be laid out there: a file cannot be that large there; raise the limit of a file’s size \(ulimit -f\)$/m,
  ],
] as const;
for (const [what, limit, message] of BEYOND) {
  test(`beyond the limit of a file’s size, ${what}, image iso says so, and leaves nothing there`, async (t) => {
    t.timeout(120_000);
    const work = await mkdtemp(join(tmpdir(), 'rackboot-limit-'));
    t.teardown(() => rm(work, { recursive: true, force: true }));
    const [site, media, iso] = [join(work, 'site'), join(work, 'media'), join(work, 'disk', 'd12.iso')];
    await makeMedia(media, 400_000);
    await writeFile(join(media, 'linux'), noise(1, 15_000_000));
    await mkdir(join(work, 'disk'));
    for (const words of [['init'], ['image', 'import', media, '--name', 'd12']])
      t.is((await runProgram(['--site', site, ...words])).status, 0);
    const { status, err } = await runProgram(
      ['--site', site, 'image', 'iso', 'd12', '-o', iso],
      ['prlimit', `--fsize=${limit}`, '--'],
    );
    t.is(status, 1);
    t.regex(err, message);
    t.deepEqual(await readdir(join(work, 'disk')), []);
  });
}
