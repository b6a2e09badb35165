import { spawnSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  cp,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { buildRepository, type BuildReport } from '../../src/repo/build.js';
import { checkBuilt } from '../../src/repo/check-build.js';
import { filesBelow } from '../../src/repo/files.js';
import { readListing } from '../../src/repo/merge.js';
import { openMetadata } from '../../src/repo/metadata.js';
import { parseEntry, parseRelations } from '../../src/repo/package-entry.js';
import { packagesOf } from '../../src/repo/package-stream.js';
import type { MetadataFile } from '../../src/repo/repomd.js';
import { output } from '../image/programs.js';
import { makePackages, workDirectory } from './rpm-packages.js';

const PACKAGES = [
  { name: 'xcp-ng-deps', requires: ['kernel', 'tools >= 1'] },
  { name: 'kernel', version: '4.19+1', files: { '/boot/vmlinuz': 'kernel' } },
  { name: 'tools', requires: ['/opt/odd/file'], files: { '/usr/bin/tool': 'tool', '/etc/tool.conf': 'x' } },
  { name: 'odd', files: { '/opt/odd/file': 'odd' } },
];

async function fragments(dir: string, type: string): Promise<string[]> {
  const files = filesBelow(dir);
  const { repomd } = await readListing(files);
  const file = repomd.files.find((each) => each.type === type) as MetadataFile;
  const found: string[] = [];
  for await (const fragment of packagesOf(openMetadata(files, file), type))
    found.push(fragment.toString('utf8'));
  return found;
}

const metadata = async (dir: string): Promise<string[][]> =>
  Promise.all(['primary', 'filelists', 'other'].map((type) => fragments(dir, type)));

/** Every file of repodata/ with its bytes. */
async function repodata(dir: string): Promise<Record<string, string>> {
  const below = path.join(dir, 'repodata');
  const names = (await readdir(below)).sort();
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, (await readFile(path.join(below, name))).toString('base64')] as const),
    ),
  );
}

test('the metadata is what createrepo_c makes, package by package', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(path.join(dir, 'Packages'), PACKAGES);
  await makePackages(path.join(dir, 'extra', 'a+b'), [{ name: 'deep' }]);
  const report = await buildRepository({ dir, revision: '1700000000' });
  t.is(report.read.length, 5);
  const ours = await metadata(dir);
  await rm(path.join(dir, 'repodata'), { recursive: true });
  await output('createrepo_c', ['--quiet', '--no-database', '--general-compress-type=gz', dir]);
  const theirs = await metadata(dir);
  t.deepEqual(
    ours.map((list) => [...list].sort()),
    theirs.map((list) => [...list].sort()),
  );
});

test('a package that is added is the only one that is read, and the bytes are those of a build from nothing', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(path.join(dir, 'Packages'), PACKAGES);
  await buildRepository({ dir, revision: '5' });
  const added = path.join(dir, 'Packages', 'new-1-1.noarch.rpm');
  await makePackages(path.dirname(added), [{ name: 'new' }]);
  // Damage that only reading would show: a package that is known is not opened.
  const known = path.join(dir, 'Packages', 'kernel-4.19+1-1.noarch.rpm');
  const { size, atime, mtime } = await stat(known);
  const whole = await readFile(known);
  await writeFile(known, Buffer.alloc(size));
  await utimes(known, atime, mtime);
  const report = await buildRepository({ dir, revision: '6' });
  t.deepEqual(report.read, ['Packages/new-1-1.noarch.rpm']);
  t.is(report.packages.length, 5);
  await writeFile(known, whole);
  await utimes(known, atime, mtime);
  const incremental = await repodata(dir);
  const again = await buildRepository({ dir, revision: '6', full: true });
  t.is(again.read.length, 5);
  t.deepEqual(await repodata(dir), incremental);
  t.true(
    again.packages.some(({ href }) => href.includes('+')),
    'a plus stays as it is',
  );
});

test('packages in directories are listed as from nothing, in the order of createrepo_c', async (t) => {
  const dir = await workDirectory(t);
  for (const name of ['p1', 'p2', 'p3']) await makePackages(dir, [{ name }]);
  await makePackages(path.join(dir, 'sub'), [{ name: 'p10' }]);
  await buildRepository({ dir, revision: '5' });
  await makePackages(path.join(dir, 'sub'), [{ name: 'p11' }]);
  const report = await buildRepository({ dir, revision: '6' });
  t.deepEqual(
    report.packages.map(({ name }) => name),
    ['p1', 'p10', 'p11', 'p2', 'p3'],
  );
  const incremental = await repodata(dir);
  await buildRepository({ dir, revision: '6', full: true });
  t.deepEqual(await repodata(dir), incremental);
});

test('packages that changed are read again, and those that went are listed no more', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir });
  await rm(path.join(dir, 'odd-1-1.noarch.rpm'));
  await appendFile(path.join(dir, 'tools-1-1.noarch.rpm'), 'x');
  const report = await buildRepository({ dir });
  t.deepEqual(report.read, ['tools-1-1.noarch.rpm']);
  t.deepEqual(report.gone, ['odd-1-1.noarch.rpm']);
  t.deepEqual((await fragments(dir, 'filelists')).length, 3);
});

test('files that changed since the old metadata, but are as it lists them, are not read for it', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir });
  await makePackages(dir, [{ name: 'new' }]);
  await chmod(path.join(dir, 'odd-1-1.noarch.rpm'), 0o600);
  const report = await buildRepository({ dir });
  t.deepEqual(report.read, ['new-1-1.noarch.rpm']);
  t.is(report.packages.length, 5);
  t.is((await fragments(dir, 'other')).length, 5);
});

test('groups and update notices stay, and what other tools derived from the lists goes', async (t) => {
  const dir = await workDirectory(t);
  const comps =
    '<?xml version="1.0"?>\n<comps><group><id>base</id><name>Base</name><packagelist><packagereq type="mandatory">kernel</packagereq></packagelist></group></comps>\n';
  await makePackages(dir, PACKAGES);
  await writeFile(path.join(dir, '..', `${path.basename(dir)}.xml`), comps);
  t.teardown(() => rm(path.join(dir, '..', `${path.basename(dir)}.xml`)));
  await output('createrepo_c', ['--quiet', '--database', `--groupfile=${dir}.xml`, dir]);
  await writeFile(path.join(dir, 'updateinfo.xml'), '<?xml version="1.0"?>\n<updates></updates>\n');
  await output('modifyrepo_c', [path.join(dir, 'updateinfo.xml'), path.join(dir, 'repodata')]);
  await makePackages(dir, [{ name: 'new' }]);
  const report = await buildRepository({ dir });
  t.deepEqual(report.read, ['new-1-1.noarch.rpm']);
  const { repomd } = await readListing(filesBelow(dir));
  t.deepEqual(
    repomd.files.map(({ type }) => type),
    ['primary', 'filelists', 'other', 'group', 'group_gz', 'updateinfo'],
  );
  t.true(
    repomd.files
      .slice(0, 3)
      .every(({ href, checksum }) => href.endsWith('.xml.gz') && checksum.type === 'sha256'),
  );
  const listed = ['repomd.xml', ...repomd.files.map(({ href }) => path.basename(href))].sort();
  t.deepEqual((await readdir(path.join(dir, 'repodata'))).sort(), listed);
  await buildRepository({ dir, comps: `${dir}.xml` });
  const groups = (await readListing(filesBelow(dir))).repomd.files.filter(({ type }) =>
    type.startsWith('group'),
  );
  t.deepEqual(
    groups.map(({ type }) => type),
    ['group', 'group_gz'],
  );
  t.is(gunzipSync(await readFile(path.join(dir, groups[1]?.href ?? ''))).toString(), comps);
});

test('old metadata that cannot be built on costs a full read, and says so', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir, revision: '1' });
  const good = await repodata(dir);
  const filelists = Object.keys(good).find((name) => name.includes('filelists')) ?? '';
  const file = await open(path.join(dir, 'repodata', filelists), 'r+');
  await file.write(Buffer.from([1, 2, 3]), 0, 3, 200);
  await file.close();
  const report = await buildRepository({ dir, revision: '1' });
  t.is(report.read.length, 4);
  t.regex(report.notes[0] ?? '', /every package was read/);
  t.deepEqual(await repodata(dir), good);
  await output('createrepo_c', ['--quiet', '--checksum=sha512', '--general-compress-type=xz', dir]);
  t.is((await buildRepository({ dir, revision: '1' })).read.length, 4, 'installers pass over sha512');
  t.deepEqual(await repodata(dir), good);
});

test('a file that is no package stops the build, and the old repository stays', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir });
  const before = await repodata(dir);
  await writeFile(path.join(dir, 'broken.rpm'), 'not a package');
  await t.throwsAsync(buildRepository({ dir }), { code: 'BAD_PACKAGE', message: /broken\.rpm/ });
  t.deepEqual(await repodata(dir), before);
  await t.throwsAsync(buildRepository({ dir: path.join(dir, 'absent') }), {
    code: 'NO_ACCESS',
    message: /absent: no such file or directory; /,
  });
});

test('a message names the package that is none, however it is called', async (t) => {
  const dir = path.join(await workDirectory(t), 'rack 7: é');
  const name = path.join(dir, 'of a: bad name é.rpm');
  await makePackages(dir, PACKAGES);
  await rename(path.join(dir, 'odd-1-1.noarch.rpm'), path.join(dir, 'é.rpm')); // ends the other's name
  await writeFile(name, 'not a package');
  await t.throwsAsync(buildRepository({ dir }), {
    code: 'BAD_PACKAGE',
    message: `${name}: not an RPM that can be read; fetch it again or remove it`,
  });
  await rm(name);
  await writeFile(Buffer.concat([Buffer.from(`${dir}/odd`), Buffer.from([0xff]), Buffer.from('.rpm')]), '');
  await t.throwsAsync(buildRepository({ dir }), {
    code: 'BAD_PACKAGE',
    message: /a name that metadata cannot hold/,
  });
});

test('what a killed build left is removed by the next one, what a running one has is not', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir, revision: '1' });
  const module = new URL('../../src/repo/build.js', import.meta.url).href;
  const code = `
    import { buildRepository } from ${JSON.stringify(module)};
    await buildRepository({ dir: ${JSON.stringify(dir)}, full: true, check: () => process.kill(process.pid, 'SIGKILL') });`;
  const killed = spawnSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 60_000 });
  t.is(killed.signal, 'SIGKILL');
  const building = async (): Promise<string[]> =>
    (await readdir(path.join(dir, 'repodata'))).filter((name) => name.startsWith('.'));
  t.is((await building()).length, 1);
  await buildRepository({
    dir,
    full: true,
    check: async () => {
      t.is((await building()).length, 1, 'its own');
      await buildRepository({ dir, full: true });
      t.is((await building()).length, 1, 'still there');
    },
  }).catch((error: unknown) => t.fail(String(error)));
  t.deepEqual(await building(), []);
});

test('groups that are no comps.xml are refused by name, and the old metadata stays', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir });
  const before = await repodata(dir);
  const comps = path.join(dir, 'groups.xml');
  for (const text of ['', '<comps', '<comps><group></comps>', '<html/>']) {
    await writeFile(comps, text);
    const error = await t.throwsAsync(buildRepository({ dir, comps }), { code: 'BAD_METADATA' });
    t.true(error?.message.startsWith(`${comps}: `), error?.message);
  }
  t.deepEqual(await repodata(dir), before);
});

async function checked(
  dir: string,
  targets: readonly string[] = [],
  others: readonly string[] = [],
): Promise<{ report: BuildReport; notes: string[] }> {
  const notes: string[] = [];
  const report = await buildRepository({
    dir,
    check: (built) =>
      checkBuilt(built, filesBelow(dir), { others, targets, note: (line) => notes.push(line) }),
  });
  return { report, notes };
}

test('a dependency that nothing provides stops the build with the way to it', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  await checked(dir);
  const before = await repodata(dir);
  await rename(path.join(dir, 'odd-1-1.noarch.rpm'), path.join(dir, 'odd.away'));
  await t.throwsAsync(checked(dir), {
    code: 'UNRESOLVED',
    message: /tools-1-1\.noarch \(xcp-ng-deps → tools\) needs \/opt\/odd\/file/,
  });
  t.deepEqual(await repodata(dir), before);
  const other = path.join(dir, '.other');
  await mkdir(other);
  await rename(path.join(dir, 'odd.away'), path.join(other, 'odd-1-1.noarch.rpm'));
  await checked(other);
  await t.notThrowsAsync(checked(dir, [], [other]));
});

test('a new package that nothing requires is reported, one that is required or named is not', async (t) => {
  const dir = await workDirectory(t);
  await makePackages(dir, PACKAGES);
  t.deepEqual((await checked(dir)).notes, [], 'the first packages are not new');
  await makePackages(dir, [
    { name: 'driver', provides: ['own'], requires: ['own'] },
    { name: 'helper' },
    { name: 'user', requires: ['(helper if kernel)'] },
  ]);
  const work = await workDirectory(t);
  await cp(dir, work, { recursive: true, preserveTimestamps: true });
  t.deepEqual((await checked(dir)).notes, [
    'nothing requires driver-1-1.noarch: add it to xcp-ng-deps or to extra targets',
    'nothing requires user-1-1.noarch: add it to xcp-ng-deps or to extra targets',
  ]);
  t.deepEqual((await checked(work, ['driver', 'user'])).notes, []);
});

test('packages are read from any cut of the stream', async (t) => {
  const plain = Buffer.from(
    '<x packages="2">\n<package type="rpm"><name>a&amp;b</name></package><package pkgid="1"/>\n<package pkgid="2"><file>/x</file></package></x>',
  );
  for (let at = 1; at < plain.length; at++) {
    const source = async function* (): AsyncGenerator<Buffer> {
      yield plain.subarray(0, at);
      yield plain.subarray(at);
    };
    const found: string[] = [];
    for await (const fragment of packagesOf(source(), 'x')) found.push(fragment.toString());
    t.is(
      found.join('|'),
      '<package type="rpm"><name>a&amp;b</name></package>|<package pkgid="1"/>|<package pkgid="2"><file>/x</file></package>',
    );
  }
  const cut = async function* (): AsyncGenerator<Buffer> {
    yield plain.subarray(0, 40);
  };
  await t.throwsAsync(
    async () => {
      for await (const fragment of packagesOf(cut(), 'x')) t.fail(fragment.toString());
    },
    { code: 'BAD_METADATA' },
  );
});

test('what a package lists is read with its entities, and never leads outside', (t) => {
  const xml = (href: string): Buffer =>
    Buffer.from(
      `<package type="rpm"><name>a&amp;b</name><arch>x86_64</arch><version epoch="1" ver="2" rel="3"/><checksum type="sha256" pkgid="YES">AA</checksum><time file="4" build="5"/><size package="6"/><location href="${href}"/><format><rpm:requires><rpm:entry name="(x(64bit) &gt;= 1 if (y or z))"/><rpm:entry name="rpmlib(A)"/></rpm:requires><file type="dir">/d</file></format></package>`,
    );
  const entry = parseEntry(xml('Packages/a&#43;b.rpm'), 'x');
  t.deepEqual(entry, {
    name: 'a&b',
    arch: 'x86_64',
    epoch: '1',
    version: '2',
    release: '3',
    checksum: { type: 'sha256', value: 'aa' },
    href: 'Packages/a+b.rpm',
    size: 6,
    fileTime: 4,
    buildTime: 5,
  });
  t.deepEqual(parseRelations(xml('a')), { provides: ['a&b', '/d'], requires: ['x(64bit)', 'y', 'z'] });
  for (const href of ['../x', '/x', 'a/../x', 'a//b', ''])
    t.throws(() => parseEntry(xml(href), 'x'), { code: 'BAD_METADATA' });
});
