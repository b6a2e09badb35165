import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/site/assets.js';
import { defaultConfig } from '../../src/site/config.js';
import { SiteError } from '../../src/site/errors.js';
import { initSite } from '../../src/site/init.js';
import { openSite } from '../../src/site/site.js';

const run = promisify(execFile);

async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-site-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

test('init makes a site that opens with the default configuration, private to its user', async (t) => {
  const dir = join(await temporaryDirectory(t), 'deep', 'site');
  const made = await initSite(dir);
  t.deepEqual(made, {
    dir,
    config: defaultConfig(),
    paths: { database: join(dir, 'state.db'), store: join(dir, 'store'), layers: join(dir, 'layers') },
  });
  t.deepEqual(await openSite(dir), made);
  t.deepEqual((await readdir(dir)).sort(), ['layers', 'rackboot.yaml', 'store']);
  for (const path of [dir, ...(await readdir(dir)).map((name) => join(dir, name))]) {
    t.is((await stat(path)).mode & 0o077, 0, path);
  }
});

test('init takes an empty directory, and finishes what an interrupted init began', async (t) => {
  const dir = await temporaryDirectory(t);
  await mkdir(join(dir, 'layers'));
  await writeFile(join(dir, 'rackboot.yaml.new'), 'half of it');
  await initSite(dir);
  t.deepEqual((await readdir(dir)).sort(), ['layers', 'rackboot.yaml', 'store']);
});

test('init refuses a site, a directory with something in it, and a file', async (t) => {
  const dir = await temporaryDirectory(t);
  await initSite(join(dir, 'site'));
  await t.throwsAsync(initSite(join(dir, 'site')), { instanceOf: SiteError, code: 'SITE_EXISTS' });
  await t.throwsAsync(initSite(dir), { code: 'NOT_EMPTY', message: /it holds site/ });
  await writeFile(join(dir, 'file'), '');
  await t.throwsAsync(initSite(join(dir, 'file')), { code: 'NO_ACCESS', message: /a file is in the way/ });
  await t.throwsAsync(initSite(join(dir, 'file', 'below')), {
    code: 'NO_ACCESS',
    message: /a file is in the way/,
  });
});

test('init on a read-only file system is one line', async (t) => {
  const dir = await temporaryDirectory(t);
  const script = `
    import { initSite } from ${JSON.stringify(new URL('../../src/site/init.js', import.meta.url).href)};
    await initSite(process.argv[1] + '/site').catch((error) => console.log(error.code, error.message));
  `;
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const shell = 'mount -t tmpfs -o ro tmpfs "$1" && exec "$2" --input-type=module --eval "$3" "$1"';
  const words = ['--mount', ...rights, 'sh', '-c', shell, 'sh', dir, process.execPath, script];
  const { stdout } = await run('unshare', words);
  t.is(
    stdout,
    `NO_ACCESS ${dir}/site: no site can be made here: it is read-only; give a writable directory.\n`,
  );
});

test('a directory that is no site says how to make one', async (t) => {
  const dir = await temporaryDirectory(t);
  const message = (path: string): string =>
    `${path}: not a rackboot site; make one with: rackboot --site ${path} init`;
  await t.throwsAsync(openSite(dir), { code: 'NOT_A_SITE', message: message(dir) });
  await t.throwsAsync(openSite(join(dir, 'none')), {
    code: 'NOT_A_SITE',
    message: message(join(dir, 'none')),
  });
  await writeFile(join(dir, 'file'), '');
  await t.throwsAsync(openSite(join(dir, 'file')), { code: 'NOT_A_SITE' });
});

test('a rackboot.yaml that cannot be read, or obeyed, says which and where', async (t) => {
  const dir = await temporaryDirectory(t);
  await writeFile(join(dir, 'rackboot.yaml'), 'name: x\nhtpp: {}\n');
  await t.throwsAsync(openSite(dir), {
    code: 'BAD_CONFIG',
    message: `${dir}/rackboot.yaml line 2: unknown key 'htpp'; did you mean 'http'?`,
  });
  await rm(join(dir, 'rackboot.yaml'));
  await mkdir(join(dir, 'rackboot.yaml'));
  await t.throwsAsync(openSite(dir), {
    code: 'NO_ACCESS',
    message: new RegExp(`^${dir}/rackboot.yaml: cannot be read`),
  });
});

test('the package is found from where this runs', (t) => {
  t.true(existsSync(join(packageRoot(), 'configs')));
  t.true(existsSync(join(packageRoot(), 'package.json')));
  t.false(packageRoot().endsWith('dist'));
});
