import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { buildRepository } from '../../src/repo/build.js';
import { filesBelow } from '../../src/repo/files.js';
import { mirrorTree, type MirrorReport, type MirrorRequest } from '../../src/repo/mirror/mirror.js';
import { localSource, namesLinked, webSource } from '../../src/repo/mirror/source.js';
import { leftOutOf } from '../../src/repo/mirror/state.js';
import { verifyTree } from '../../src/repo/verify.js';
import { webClient } from '../../src/repo/web.js';
import { defaultConfig } from '../../src/site/config.js';
import { makePackages as makeCorpus } from '../bench/repo/corpus.js';
import { runCommand } from '../cli/in-process.js';
import { run } from '../image/programs.js';
import { makePackages, workDirectory } from './rpm-packages.js';
import { serveDirectory } from './web-server.js';

const { exclude } = defaultConfig().mirror;
const LONG_AGO = 1_500_000_000; // seconds
const NO_WAIT = (): Promise<void> => Promise.resolve();

/** A source as a product site has them: two repositories, sources, files beside, a package that no metadata lists. */
async function product(dir: string): Promise<void> {
  await makePackages(path.join(dir, 'base/x86_64/Packages'), [
    { name: 'xcp-ng-deps', requires: ['kernel'] },
    { name: 'kernel', version: '4.19+1', files: { '/boot/vmlinuz': 'kernel'.repeat(20_000) } },
    { name: 'kernel-devel', requires: ['golang'] },
    { name: 'golang' },
    { name: 'golang-extra' },
  ]);
  await makePackages(path.join(dir, 'updates/x86_64'), [
    { name: 'xcp-ng-deps', version: '2', requires: ['kernel'] },
  ]);
  await makePackages(path.join(dir, 'Source/SPackages'), [{ name: 'source' }]);
  for (const repository of ['base/x86_64', 'updates/x86_64', 'Source'])
    await buildRepository({ dir: path.join(dir, repository), revision: '1' });
  await makePackages(path.join(dir, 'updates/x86_64'), [{ name: 'unlisted' }]);
  await writeFile(path.join(dir, 'EULA'), 'terms\n');
  await utimes(path.join(dir, 'EULA'), LONG_AGO, LONG_AGO);
}

interface Mirrored {
  readonly web: string; // what is served
  readonly dir: string;
  readonly url: string;
  readonly stop: () => Promise<void>;
  readonly mirror: (change?: Partial<MirrorRequest>) => Promise<MirrorReport>;
}

async function served(
  t: ExecutionContext,
  make: (dir: string) => Promise<void>,
  options?: { listings: boolean },
): Promise<Mirrored> {
  const work = await workDirectory(t);
  const [web, dir] = [path.join(work, 'web'), path.join(work, 'mirror')];
  await mkdir(web);
  await make(web);
  const { url, stop } = await serveDirectory(t, web, options);
  const client = webClient(4, NO_WAIT);
  t.teardown(() => client.close());
  const source = webSource(client, `${url}/`);
  return {
    web,
    dir,
    url,
    stop,
    mirror: (change = {}) => mirrorTree({ source, dir, exclude, extraPackages: [], jobs: 4, ...change }),
  };
}

const tree = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith('.rackboot-mirror') && !/repodata\/[0-9a-f]{64}/.test(name))
    .sort();

const KEPT = [
  'EULA',
  'base/x86_64/Packages/kernel-4.19+1-1.noarch.rpm',
  'base/x86_64/Packages/xcp-ng-deps-1-1.noarch.rpm',
  'base/x86_64/repodata/repomd.xml',
  'updates/x86_64/repodata/repomd.xml',
  'updates/x86_64/xcp-ng-deps-2-1.noarch.rpm',
];

test('a mirror holds what the metadata lists and no rule excludes, and dnf installs from it offline', async (t) => {
  const { web, dir, mirror, stop } = await served(t, product);
  const first = await mirror();
  t.deepEqual(await tree(dir), KEPT);
  t.like(first, { repositories: ['base/x86_64', 'updates/x86_64'], leftOut: 3, unlisted: 1, removed: [] });
  t.is(first.fetched, first.files);
  for (const name of KEPT)
    t.is(
      (await stat(path.join(dir, name))).mtimeMs,
      Math.floor((await stat(path.join(web, name))).mtimeMs / 1000) * 1000,
      name,
    );
  t.like(await mirror(), { fetched: 0, bytes: 0, files: first.files });
  await stop();

  const base = path.join(dir, 'base/x86_64');
  const isLeftOut = await leftOutOf(base);
  t.like(await verifyTree({ files: filesBelow(base), ...(isLeftOut === undefined ? {} : { isLeftOut }) }), {
    findings: [],
    leftOut: 3,
    packages: 5,
  });
  const work = await workDirectory(t);
  await writeFile(
    path.join(work, 'dnf.conf'),
    `[main]\nreposdir=${work}/none\ncachedir=${work}/cache\nlogdir=${work}\nplugins=0\n`,
  );
  const repositories = ['base', 'updates'].map(
    (name) => `--repofrompath=${name},file://${dir}/${name}/x86_64`,
  );
  const args = [
    `--config=${work}/dnf.conf`,
    `--installroot=${work}/root`,
    '--releasever=1',
    '--nogpgcheck',
    '-y',
    ...repositories,
    'install',
    'xcp-ng-deps',
  ];
  const installed = await run('dnf', args);
  t.is(installed.code, 0, installed.stderr);
  t.regex(
    (await run('rpm', ['--root', `${work}/root`, '-q', 'xcp-ng-deps', 'kernel'])).stdout.toString(),
    /^xcp-ng-deps-2-1.noarch\nkernel-4.19\+1-1/,
  );
});

test('what vanished goes, what came comes, and what others put there stays', async (t) => {
  const { web, dir, mirror } = await served(t, product);
  await mirror();
  await writeFile(path.join(dir, 'base/x86_64/mine.txt'), 'mine');
  await rm(path.join(web, 'EULA'));
  await rm(path.join(web, 'updates'), { recursive: true });
  await makePackages(path.join(web, 'base/x86_64/Packages'), [{ name: 'new' }]);
  await buildRepository({ dir: path.join(web, 'base/x86_64'), revision: '2' });
  await truncate(path.join(dir, 'base/x86_64/Packages/kernel-4.19+1-1.noarch.rpm'), 100);
  const report = await mirror();
  t.deepEqual(await tree(dir), [
    'base/x86_64/Packages/kernel-4.19+1-1.noarch.rpm',
    'base/x86_64/Packages/new-1-1.noarch.rpm',
    'base/x86_64/Packages/xcp-ng-deps-1-1.noarch.rpm',
    'base/x86_64/mine.txt',
    'base/x86_64/repodata/repomd.xml',
  ]);
  t.true(report.removed.includes('EULA') && report.removed.includes('updates/x86_64/repodata/repomd.xml'));
  t.deepEqual((await readdir(path.join(dir, 'base/x86_64/repodata'))).length, 4, 'no old metadata is left');
  t.is(report.fetched, 2 + 4, 'two packages, three lists and repomd.xml');
});

test('extra packages come with what they need, though rules exclude them', async (t) => {
  const { dir, mirror } = await served(t, product);
  const report = await mirror({ extraPackages: ['kernel-devel'] });
  t.is(report.leftOut, 1);
  t.deepEqual((await readdir(path.join(dir, 'base/x86_64/Packages'))).sort(), [
    'golang-1-1.noarch.rpm',
    'kernel-4.19+1-1.noarch.rpm',
    'kernel-devel-1-1.noarch.rpm',
    'xcp-ng-deps-1-1.noarch.rpm',
  ]);
  await t.throwsAsync(mirror({ extraPackages: ['nowhere'] }), { code: 'UNRESOLVED', message: /nowhere/ });
});

test('a server that lists nothing is mirrored by its metadata and its .treeinfo', async (t) => {
  const { web, dir, mirror, url } = await served(
    t,
    async (web) => {
      await makePackages(web, [{ name: 'a' }]);
      await buildRepository({ dir: web });
      await writeFile(
        path.join(web, '.treeinfo'),
        '[images-x86_64]\nkernel = boot/vmlinuz\n[checksums]\nEFI/Grub.cfg = sha256:x\n[keys]\nkey1 = RPM-GPG-KEY-a\n',
      );
      for (const name of ['boot/vmlinuz', 'EFI/Grub.cfg', 'RPM-GPG-KEY-a', 'unnamed']) {
        await mkdir(path.dirname(path.join(web, name)), { recursive: true });
        await writeFile(path.join(web, name), name);
      }
      for (const name of await readdir(web, { recursive: true }))
        await utimes(path.join(web, name), LONG_AGO, LONG_AGO);
    },
    { listings: false },
  );
  await mirror();
  t.deepEqual(await tree(dir), [
    '.treeinfo',
    'EFI/Grub.cfg',
    'RPM-GPG-KEY-a',
    'a-1-1.noarch.rpm',
    'boot/vmlinuz',
    'repodata/repomd.xml',
  ]);
  t.like(await mirror(), { fetched: 0 });
  const kernel = path.join(web, 'boot/vmlinuz');
  await writeFile(kernel, 'another');
  await utimes(kernel, LONG_AGO, LONG_AGO);
  t.like(await mirror(), { fetched: 1 }, 'another file of the same second');
  t.is(await readFile(path.join(dir, 'boot/vmlinuz'), 'utf8'), 'another');
  const now = Date.now() / 1000 + 3600;
  for (const text of ['freshly', 'changed']) {
    await writeFile(kernel, text);
    await utimes(kernel, now, now);
    t.like(await mirror(), { fetched: 1 }, 'a time that may still cover a change proves nothing');
    t.is(await readFile(path.join(dir, 'boot/vmlinuz'), 'utf8'), text);
  }
  const other = mirrorTree({ source: localSource(web), dir, exclude, extraPackages: [], jobs: 1 });
  await t.throwsAsync(other, { code: 'NOT_A_MIRROR', message: new RegExp(`a mirror of ${url}`) });
  await rm(path.join(web, 'repodata'), { recursive: true });
  await t.throwsAsync(mirror(), { code: 'BAD_SOURCE' });
});

/** A server of `web` that does to each answer’s body what `spoil` says. */
async function badServer(
  t: ExecutionContext,
  web: string,
  spoil: (path: string, bytes: Buffer, response: ServerResponse) => void,
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    void (async () => {
      const name = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
      const bytes = await readFile(path.join(web, name)).catch(() => undefined);
      if (bytes === undefined) return response.writeHead(404).end();
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      asked.push(`${path.basename(name)} ${start}`);
      const part = bytes.subarray(start);
      response.writeHead(start > 0 ? 206 : 200, {
        'content-length': part.length,
        ...(start > 0 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
      });
      spoil(name, part, response);
      return undefined;
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('a fetch that breaks off goes on where it ended, in this run and in the next', async (t) => {
  const work = await workDirectory(t);
  const [web, dir] = [path.join(work, 'web'), path.join(work, 'mirror')];
  await makePackages(web, [{ name: 'big', files: { '/big': 'x' } }]);
  await buildRepository({ dir: web });
  const { size } = await stat(path.join(web, 'big-1-1.noarch.rpm'));
  const piece = Math.ceil(size / 6);
  let budget = 5;
  const { url, asked } = await badServer(t, web, (name, bytes, response) => {
    if (!name.endsWith('.rpm')) response.end(bytes);
    else if (budget-- > 0) response.write(bytes.subarray(0, piece), () => response.destroy());
    else response.destroy();
  });
  const client = webClient(1, NO_WAIT);
  t.teardown(() => client.close());
  const mirror = (): Promise<MirrorReport> =>
    mirrorTree({ source: webSource(client, url), dir, exclude, extraPackages: [], jobs: 1 });
  await t.throwsAsync(mirror(), {
    code: 'FETCH_FAILED',
    message: /big-1-1\.noarch\.rpm.*goes on where it ended/,
  });
  const rpm = (): string[] => asked.filter((line) => line.startsWith('big'));
  t.deepEqual(
    rpm().slice(0, 4),
    [0, 1, 2, 3].map((at) => `big-1-1.noarch.rpm ${at * piece}`),
  );
  t.deepEqual(await tree(dir), [], 'nothing half-done is visible');
  budget = 100;
  const before = rpm().length;
  await mirror();
  t.regex(rpm()[before] ?? '', new RegExp(` ${4 * piece}$`));
  t.deepEqual(
    await readFile(path.join(dir, 'big-1-1.noarch.rpm')),
    await readFile(path.join(web, 'big-1-1.noarch.rpm')),
  );
});

test('many bytes are received on threads; what breaks off there goes on as well', async (t) => {
  const work = await workDirectory(t);
  const [web, dir] = [path.join(work, 'web'), path.join(work, 'mirror')];
  await makeCorpus(web, 20, 1024);
  await buildRepository({ dir: web });
  const spoilt = new Map([
    ['/corpus-p3-1-1.noarch.rpm', 'breaks'],
    ['/corpus-p7-1-1.noarch.rpm', 'is another'],
  ]);
  const { url, asked } = await badServer(t, web, (name, bytes, response) => {
    const how = spoilt.get(name);
    spoilt.delete(name);
    if (how === 'breaks') response.write(bytes.subarray(0, 400_000), () => response.destroy());
    else response.end(how === undefined ? bytes : Buffer.alloc(bytes.length));
  });
  const client = webClient(1, NO_WAIT);
  t.teardown(() => client.close());
  const mirror = (): Promise<MirrorReport> =>
    mirrorTree({ source: webSource(client, url), dir, exclude, extraPackages: [], jobs: 8 });
  t.like(await mirror(), { fetched: 24, files: 24 });
  for (const name of await readdir(web))
    if (name.endsWith('.rpm'))
      t.true((await readFile(path.join(dir, name))).equals(await readFile(path.join(web, name))), name);
  const times = (number: number): string[] =>
    asked.filter((line) => line.startsWith(`corpus-p${number}-1-1.noarch.rpm `));
  t.regex(times(3)[1] ?? '', / [1-9]\d*$/, 'the rest is asked for');
  t.deepEqual(
    times(7),
    Array(2).fill('corpus-p7-1-1.noarch.rpm 0'),
    'another file is asked for from its beginning',
  );
  t.is(times(5).length, 1);
  t.like(await mirror(), { fetched: 0, files: 24 });
});

test('what is not what the metadata says is never put in place', async (t) => {
  const work = await workDirectory(t);
  const [web, dir] = [path.join(work, 'web'), path.join(work, 'mirror')];
  await makePackages(web, [{ name: 'a' }]);
  await buildRepository({ dir: web, revision: '1' });
  let spoils = false;
  const { url } = await badServer(t, web, (name, bytes, response) => {
    if (spoils && name.endsWith('b-1-1.noarch.rpm')) bytes[100]! ^= 1;
    response.end(bytes);
  });
  const client = webClient(1, NO_WAIT);
  t.teardown(() => client.close());
  const mirror = (): Promise<MirrorReport> =>
    mirrorTree({ source: webSource(client, url), dir, exclude, extraPackages: [], jobs: 1 });
  await mirror();
  const repomd = await readFile(path.join(dir, 'repodata/repomd.xml'), 'utf8');
  await makePackages(web, [{ name: 'b' }]);
  await buildRepository({ dir: web, revision: '2' });
  spoils = true;
  await t.throwsAsync(mirror(), {
    code: 'FETCH_FAILED',
    message: /b-1-1\.noarch\.rpm: not the file that the metadata means/,
  });
  t.is(await readFile(path.join(dir, 'repodata/repomd.xml'), 'utf8'), repomd);
  t.deepEqual((await verifyTree({ files: filesBelow(dir) })).findings, []);
  spoils = false;
  t.like(await mirror(), { fetched: 5 });
  // Came by a run that ended early, and vanished since: the mirror knows it for its own.
  await rm(path.join(web, 'b-1-1.noarch.rpm'));
  await buildRepository({ dir: web, revision: '3' });
  t.true((await mirror()).removed.includes('b-1-1.noarch.rpm'));
});

test('a version is looked up in the configuration, and mirrored into its own directory', async (t) => {
  const work = await workDirectory(t);
  const [site, web, dest] = ['site', 'web', 'dest'].map((name) => path.join(work, name)) as [
    string,
    string,
    string,
  ];
  await makePackages(web, [{ name: 'a' }, { name: 'odd' }]);
  await buildRepository({ dir: web });
  await runCommand(['--site', site, 'init']);
  await writeFile(
    path.join(site, 'rackboot.yaml'),
    `mirror: { versions: { '9.1': 'file://${web}' }, exclude: [odd] }\n`,
  );
  const done = await runCommand(['--site', site, 'repo', 'mirror', '9.1', dest]);
  t.is(done.status, 0, done.err);
  t.regex(done.out, /5 files, 5 of them fetched.*\n1 packages are excluded\n/);
  t.deepEqual(await tree(path.join(dest, '9.1')), ['a-1-1.noarch.rpm', 'repodata/repomd.xml']);
  const verified = await runCommand(['repo', 'verify', path.join(dest, '9.1')]);
  t.regex(verified.out, /1 of them left out by the mirror/);
  const unknown = await runCommand(['--site', site, 'repo', 'mirror', '7', dest]);
  t.regex(unknown.err, /no version that mirror\.versions knows \(9\.1\)/);
  const renamed = path.join(work, 'elsewhere');
  await rename(web, renamed);
  t.is(
    (await runCommand(['repo', 'mirror', renamed, path.join(dest, 'other'), '--all', '--exclude', '^/a-']))
      .status,
    0,
  );
  t.deepEqual(await tree(path.join(dest, 'other')), ['odd-1-1.noarch.rpm', 'repodata/repomd.xml']);
  t.is((await runCommand(['repo', 'mirror', renamed, dest, '--exclude', '('])).status, 2);
});

test('the names that pages of directories link to', (t) => {
  const base = new URL('http://h/d/');
  const page = `<a href="../">Parent</a><a href="?C=N;O=D">Name</a><a href="/">x</a><A class=x HREF='Packages/'>Packages/</A>
<a href="a%2Bb.rpm">a+b.rpm</a><a href="/d/c&amp;d">c</a><a href="http://h/d/e">e</a><a href="http://other/d/f">f</a><a href="g/h">g/h</a><a href="%2e%2e%2f">i</a><a href="%zz">j</a>`;
  t.deepEqual(namesLinked(page, base), ['Packages/', 'a+b.rpm', 'c&d', 'e']);
});

test('a package that several repositories list is fetched for each, at one time', async (t) => {
  const names = Array.from({ length: 8 }, (_, at) => `repository-${at}`);
  const { mirror } = await served(t, async (dir) => {
    await makePackages(dir, [{ name: 'kernel', files: { '/boot/vmlinuz': 'kernel'.repeat(20_000) } }]);
    for (const name of names) {
      await mkdir(path.join(dir, name));
      await copyFile(path.join(dir, 'kernel-1-1.noarch.rpm'), path.join(dir, name, 'kernel-1-1.noarch.rpm'));
      await buildRepository({ dir: path.join(dir, name), revision: '1' });
    }
  });
  const { fetched } = await mirror({ jobs: 8 });
  t.is(fetched, 8 * 5);
});

test('a mirror never lies within its source, whatever links lead there', async (t) => {
  const work = await workDirectory(t);
  const source = path.join(work, 'source');
  await product(source);
  await symlink(source, path.join(work, 'link'));
  const before = await tree(source);
  const request = { source: localSource(source), exclude, extraPackages: [], jobs: 4 };
  for (const dir of [
    source,
    path.join(source, 'deep/er'),
    path.join(work, 'link'),
    path.join(work, 'link/x'),
  ])
    await t.throwsAsync(mirrorTree({ ...request, dir }), {
      code: 'NOT_A_MIRROR',
      message: /lies in what is to be/,
    });
  t.deepEqual(await tree(source), before);
  t.like(await mirrorTree({ ...request, dir: path.join(work, 'source-2') }), { removed: [] });
});

test('options of repo mirror that would do harm are refused', async (t) => {
  const work = await workDirectory(t);
  await makePackages(work, [{ name: 'kernel' }]);
  await buildRepository({ dir: work });
  const to = path.join(work, '..', `${path.basename(work)}-mirror`);
  const mirror = (...words: string[]) =>
    runCommand(['--site', path.join(work, 'none'), 'repo', 'mirror', ...words]);
  for (const [words, status, message] of [
    [[work, ''], 2, /the destination is empty/],
    [[work, to, '--exclude', ''], 2, /--exclude is empty/],
    [['', to], 1, /"": no URL/],
    [[work, to, '--extra-packages', '--help'], 1, /^rackboot: --help: /],
  ] as const) {
    const { status: ended, err } = await mirror(...words);
    t.is(ended, status, err);
    t.regex(err, message);
    t.notRegex(err, /packages to download/);
  }
  t.false(existsSync(to));
});
