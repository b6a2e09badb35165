import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { startServers } from '../../src/api/serve.js';
import { buildRepository } from '../../src/repo/build.js';
import { findGeneration } from '../../src/osimage/find.js';
import { manifestOf } from '../../src/osimage/manifest.js';
import { siteAt, openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { archiveBytes, item } from '../image/newc.js';
import { output } from '../image/programs.js';
import { dnfInstall } from '../repo/dnf.js';
import { makePackages, workDirectory } from '../repo/rpm-packages.js';
import { keyring, type Keyring } from '../repo/signing-keys.js';
import { runCommand, type Outcome } from './in-process.js';

const TREEINFO = `[system-v1]
platform_name = XCP
platform_version = 3.4.0
product_name = XCP-ng
product_version = 8.3.0
[build]
number = 1
[keys]
key1 = RPM-GPG-KEY-vendor
`;

interface TestSite {
  readonly dir: string;
  readonly keys: Keyring;
  readonly vendor: string;
  readonly site: string;
  readonly rackboot: (...words: string[]) => Promise<Outcome>;
  readonly ok: (...words: string[]) => Promise<Outcome>;
  readonly tree: () => Promise<Record<string, string>>; // path: digest
  readonly media: readonly string[]; // what `image import` is told of it
  readonly layerPackages: (layer: string) => string;
}

/** A site with osimage `x`, imported from media whose tree the vendor signed, and keys of the vendor’s and the site’s. */
async function newSite(t: ExecutionContext): Promise<TestSite> {
  const work = await workDirectory(t);
  const keys = await keyring(t);
  const [vendor, site] = [await keys.make('Vendor'), await keys.make('Site')];
  const media = path.join(work, 'media');
  await makePackages(path.join(media, 'Packages'), [
    { name: 'xcp-ng-deps', requires: ['kernel', 'tools'] },
    { name: 'kernel', version: '4.19+1', files: { '/boot/vmlinuz': 'kernel' } },
    { name: 'tools', requires: ['lacking'] },
    { name: 'lacking' },
  ]);
  const made = (await readdir(path.join(media, 'Packages'))).map((name) =>
    path.join(media, 'Packages', name),
  );
  await keys.signPackages(vendor, made);
  await writeFile(path.join(media, '.treeinfo'), TREEINFO);
  await writeFile(path.join(media, 'RPM-GPG-KEY-vendor'), await keys.publicKey(vendor));
  await buildRepository({ dir: media, revision: '1700000000' });
  await output('gpg', [
    `--homedir=${keys.home}`,
    '--batch',
    '--quiet',
    '--armor',
    `--local-user=${vendor}`,
    '--detach-sign',
    path.join(media, 'repodata/repomd.xml'),
  ]);
  await writeFile(path.join(media, 'vmlinuz'), 'kernel');
  await writeFile(
    path.join(media, 'initrd.gz'),
    gzipSync(archiveBytes([item({ name: 'init', mode: 0o100755, data: Buffer.from('x') })])),
  );
  const dir = path.join(work, 'site');
  const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', dir, ...words]);
  const ok = async (...words: string[]): Promise<Outcome> => {
    const outcome = await rackboot(...words);
    if (outcome.status !== 0) throw new Error(outcome.err);
    return outcome;
  };
  await ok('init');
  await writeFile(
    path.join(dir, 'rackboot.yaml'),
    `name: rack7\nsigning: { by: gnupg, gnupg: { home: ${keys.home}, key: ${site} } }\n`,
  );
  const words = [media, '--name', 'x', '--family', 'generic', '--kernel', 'vmlinuz', '--initrd', 'initrd.gz'];
  await ok('image', 'import', ...words);
  return {
    dir,
    keys,
    vendor,
    site,
    rackboot,
    ok,
    media: words,
    layerPackages: (layer) => path.join(dir, 'layers', layer, 'packages'),
    tree: () => treeOf(dir),
  };
}

/** By path, the digests of the current generation’s tree. */
async function treeOf(dir: string): Promise<Record<string, string>> {
  const store = await openStore(await openSite(dir));
  try {
    const { tree } = manifestOf(await findGeneration(store, 'x'));
    return Object.fromEntries(tree.map(({ path: name, sha256 }) => [name, sha256]));
  } finally {
    await store.close();
  }
}

/** The URL of the current generation’s tree, served by the servers of `rackboot serve`. */
async function serve(t: ExecutionContext, dir: string): Promise<string> {
  const { config } = await openSite(dir);
  const site = siteAt(dir, { ...config, http: { ...config.http, listen: '127.0.0.1:0' } });
  const store = await openStore(site);
  const servers = await startServers({ site, store, log: pino({ level: 'silent' }) });
  t.teardown(async () => {
    await servers.close();
    await store.close();
  });
  const current = await store.osimages.get('x');
  return `${servers.url}/images/x@${current?.current ?? ''}/tree`;
}

test('a layer’s packages install from the tree that is served, every check on', async (t) => {
  const site = await newSite(t);
  const before = await site.tree();
  await makePackages(site.layerPackages('drivers'), [
    { name: 'xcp-ng-deps', version: '2', requires: ['kernel', 'tools', 'driver+x'] },
    { name: 'driver+x', files: { '/opt/driver': 'd' } },
  ]);
  const own = (await readdir(site.layerPackages('drivers'))).map((name) =>
    path.join(site.layerPackages('drivers'), name),
  );
  await site.keys.signPackages(site.site, own);
  const note = path.join(site.dir, 'layers/drivers/tree/NOTE');
  await mkdir(path.dirname(note));
  await writeFile(note, 'of the layer');
  const built = await site.ok('image', 'build', 'x', '--layers', 'drivers');
  t.regex(built.err, /xcp-ng-deps-1-1\.noarch is replaced by a layer’s package/);
  t.notRegex(built.err, /nothing requires|not signed/);
  const after = await site.tree();
  t.deepEqual(
    Object.keys(after).filter((name) => !name.startsWith('repodata/')),
    [
      '.treeinfo',
      'NOTE',
      'Packages/driver+x-1-1.noarch.rpm',
      'Packages/kernel-4.19+1-1.noarch.rpm',
      'Packages/lacking-1-1.noarch.rpm',
      'Packages/tools-1-1.noarch.rpm',
      'Packages/xcp-ng-deps-2-1.noarch.rpm',
      'RPM-GPG-KEY-rack7',
      'RPM-GPG-KEY-vendor',
    ],
  );
  t.is(Object.keys(after).filter((name) => name.startsWith('repodata/')).length, 5);
  t.is(after['Packages/kernel-4.19+1-1.noarch.rpm'], before['Packages/kernel-4.19+1-1.noarch.rpm']);

  const url = await serve(t, site.dir);
  const verified = await site.ok('--json', 'repo', 'verify', url);
  t.like(JSON.parse(verified.out), { packages: 5, findings: [], signature: { fingerprint: site.site } });
  const installed = await dnfInstall(url, `${url}/RPM-GPG-KEY-rack7`, ['xcp-ng-deps']);
  t.is(installed.code, 0, installed.stderr);
  t.deepEqual(installed.installed, ['driver+x', 'kernel', 'lacking', 'tools', 'xcp-ng-deps']);

  const checked = await site.ok('--json', 'image', 'verify', 'x');
  t.like(JSON.parse(checked.out), {
    ok: true,
    repositories: [{ path: '', packages: 5, findings: [], signature: { fingerprint: site.site } }],
  });
  t.regex(
    (await site.ok('image', 'verify', 'x')).out,
    /^repository at the top of the tree: 5 packages, signed by /m,
  );

  // An edit of the image keeps the tree; without the layer it is the media’s again; with it, the same generation.
  await writeFile(path.join(site.dir, 'hello'), 'hello');
  await site.ok('image', 'put', 'x', `${path.join(site.dir, 'hello')}:/hello`);
  t.deepEqual(await site.tree(), after);
  await site.ok('image', 'build', 'x', '--layers', '', '--discard-edits');
  t.deepEqual(await site.tree(), before);
  await site.ok('image', 'build', 'x', '--layers', 'drivers');
  t.deepEqual(await site.tree(), after);
  await site.ok('store', 'verify');
});

test('the higher layer’s package counts, and generations are the same on every site', async (t) => {
  const site = await newSite(t);
  await makePackages(site.layerPackages('low'), [
    { name: 'tools', version: '7', requires: ['lacking'] },
    { name: 'kernel', version: '5' },
  ]);
  await makePackages(site.layerPackages('high'), [{ name: 'tools', version: '3', requires: ['lacking'] }]);
  const built = await site.ok('image', 'build', 'x', '--layers', 'high:low');
  t.regex(built.err, /tools-3-1\.noarch\.rpm: not signed/);
  const tree = await site.tree();
  t.deepEqual(
    Object.keys(tree).filter((name) => name.startsWith('Packages/')),
    ['kernel-5-1', 'lacking-1-1', 'tools-3-1', 'xcp-ng-deps-1-1'].map(
      (name) => `Packages/${name}.noarch.rpm`,
    ),
  );
  const other = path.join(site.dir, '..', 'other');
  const onOther = (...words: string[]): Promise<Outcome> => runCommand(['--site', other, ...words]);
  await onOther('init');
  await cp(path.join(site.dir, 'rackboot.yaml'), path.join(other, 'rackboot.yaml'));
  await onOther('image', 'import', ...site.media);
  await cp(path.join(site.dir, 'layers'), path.join(other, 'layers'), { recursive: true });
  t.is((await onOther('image', 'build', 'x', '--layers', 'high:low')).status, 0);
  t.deepEqual(await treeOf(other), tree);
});

test('without a signer the tree is unsigned, and says so', async (t) => {
  const site = await newSite(t);
  await writeFile(path.join(site.dir, 'rackboot.yaml'), 'name: rack7\n');
  await makePackages(site.layerPackages('new'), [{ name: 'extra' }]);
  const built = await site.ok('image', 'build', 'x', '--layers', 'new');
  t.regex(built.err, /the tree is unsigned now/);
  t.regex(built.err, /nothing requires extra-1-1\.noarch: add it to xcp-ng-deps/);
  t.false('repodata/repomd.xml.asc' in (await site.tree()));
  const url = await serve(t, site.dir);
  const treeinfo = await (await fetch(`${url}/.treeinfo`)).text();
  t.regex(treeinfo, /^\[keys\]\n#key1 = RPM-GPG-KEY-vendor$/m);
  t.deepEqual(
    (JSON.parse((await site.ok('--json', 'repo', 'verify', url)).out) as { findings: unknown }).findings,
    [],
  );
});

test('image verify says what an installer would stop at, besides comparing bytes', async (t) => {
  const site = await newSite(t);
  const other = (await site.keys.publicKey(site.site)).toString();
  await mkdir(path.join(site.dir, 'layers/key/tree'), { recursive: true });
  await writeFile(path.join(site.dir, 'layers/key/tree/RPM-GPG-KEY-vendor'), other);
  await site.ok('image', 'build', 'x', '--layers', 'key');
  const { status, out, err } = await site.rackboot('image', 'verify', 'x');
  t.is(status, 1);
  t.regex(out, /WRONG: tree\/repodata\/repomd\.xml\.asc: /);
  t.regex(out, /WRONG: .*signed by key …[0-9A-Fa-f]+, which the listed key file does not hold/);
  t.regex(err, /an installer would stop at the install tree: .* \(\d findings, as listed\)$/m);
  await site.ok('image', 'verify', 'x', '--bytes-only');
});

test('a dependency that the layer breaks stops the build, one that the media lacks does not', async (t) => {
  const site = await newSite(t);
  await makePackages(site.layerPackages('broken'), [{ name: 'tools', version: '2', requires: ['nowhere'] }]);
  const refused = await site.rackboot('image', 'build', 'x', '--layers', 'broken');
  t.is(refused.status, 1);
  t.regex(refused.err, /tools-2-1\.noarch \(xcp-ng-deps → tools\) needs nowhere/);
  await rm(site.layerPackages('broken'), { recursive: true });
  await mkdir(site.layerPackages('broken'));
  await writeFile(path.join(site.layerPackages('broken'), 'x.deb'), '');
  t.regex(
    (await site.rackboot('image', 'build', 'x', '--layers', 'broken')).err,
    /x\.deb: packages\/ may hold \.rpm files/,
  );
  await rename(
    path.join(site.layerPackages('broken'), 'x.deb'),
    path.join(site.layerPackages('broken'), 'x.rpm'),
  );
  t.regex(
    (await site.rackboot('image', 'build', 'x', '--layers', 'broken')).err,
    /^rackboot: x\.rpm of a layer’s packages\/: not an RPM/m,
  );
});
