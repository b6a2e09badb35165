import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { startServers } from '../../src/api/serve.js';
import { parseTreeinfo } from '../../src/repo/treeinfo.js';
import { openSite, siteAt } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { counterpart } from '../image/iso/counterparts.js';
import { writeCheckout } from '../osimage/create/configs/checkout.js';
import { TREEINFO_TEXT, writeXcpNg } from '../osimage/family/xcp-ng-media.js';
import { runCommand, type Outcome } from './in-process.js';

interface TestSite {
  readonly dir: string;
  readonly at: (...names: string[]) => string;
  readonly rackboot: (...words: string[]) => Promise<Outcome>;
  readonly ok: (...words: string[]) => Promise<Outcome>;
  readonly put: (name: string, text: string) => Promise<void>;
  readonly tree: () => Promise<Record<string, string>>; // path: digest
}

interface Shown {
  readonly tree: readonly { readonly path: string; readonly sha256: string }[];
  readonly boot: readonly { readonly label: string; readonly args: string }[];
}

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');

/** A site with osimage `x`, imported from XCP-ng-shaped media. */
async function newSite(t: ExecutionContext, files: Record<string, string> = {}): Promise<TestSite> {
  const parent = await mkdtemp(path.join(tmpdir(), 'rackboot-tree-files-'));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  const at = (...names: string[]): string => path.join(parent, ...names);
  const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', at('site'), ...words]);
  const ok = async (...words: string[]): Promise<Outcome> => {
    const outcome = await rackboot(...words);
    if (outcome.status !== 0) throw new Error(`${words.join(' ')}: ${outcome.err}`);
    return outcome;
  };
  await writeXcpNg(at('media'), { files });
  await ok('init');
  await ok('image', 'import', at('media'), '--name', 'x');
  return {
    dir: at('site'),
    at,
    rackboot,
    ok,
    async put(name, text) {
      await mkdir(path.dirname(at('site/layers', name)), { recursive: true });
      await writeFile(at('site/layers', name), text);
    },
    async tree() {
      const { tree } = JSON.parse((await ok('--json', 'image', 'show', 'x')).out) as Shown;
      return Object.fromEntries(tree.map(({ path: name, sha256: digest }) => [name, digest]));
    },
  };
}

test('files of a layer are in the tree, on the ISO and served alike; without the layer they are gone', async (t) => {
  const site = await newSite(t);
  const before = await site.tree();
  await site.put('rack/tree/EULA', 'our terms\n');
  await site.put('rack/tree/extra/a b+c.txt', 'more\n');
  await site.put('rack/tree/empty', '');
  await site.put('high/tree/EULA', 'terms of the higher layer\n');
  await site.ok('image', 'build', 'x', '--layers', 'high:rack');
  const expected = {
    EULA: 'terms of the higher layer\n',
    'extra/a b+c.txt': 'more\n',
    empty: '',
  };
  t.deepEqual(await site.tree(), {
    ...before,
    ...Object.fromEntries(Object.entries(expected).map(([name, text]) => [name, sha256(text)])),
  });

  await site.ok('image', 'iso', 'x', '-o', site.at('x.iso'));
  for (const [name, text] of Object.entries(expected)) {
    const out = site.at('out');
    await counterpart('xorriso', '-osirrox', 'on', '-indev', site.at('x.iso'), '-extract', `/${name}`, out);
    t.is(await readFile(out, 'utf8'), text);
    await rm(out, { force: true });
  }
  const { config } = await openSite(site.dir);
  const served = siteAt(site.dir, { ...config, http: { ...config.http, listen: '127.0.0.1:0' } });
  const store = await openStore(served);
  const servers = await startServers({ site: served, store, log: pino({ level: 'silent' }) });
  try {
    for (const [name, text] of Object.entries(expected)) {
      const url = `${servers.url}/images/x/tree/${name.split('/').map(encodeURIComponent).join('/')}`;
      t.is(await (await fetch(url)).text(), text, url);
    }
  } finally {
    await servers.close();
    await store.close();
  }

  await site.ok('image', 'verify', 'x', '--bytes-only', '--iso', site.at('x.iso'));

  await site.ok('image', 'build', 'x', '--layers', '');
  t.deepEqual(await site.tree(), before);
});

test('the same files give the same generation, also from the record when the directory is gone', async (t) => {
  const site = await newSite(t);
  await site.put('rack/tree/note', 'one\n');
  const idOf = async (): Promise<string> =>
    (JSON.parse((await site.ok('--json', 'image', 'show', 'x')).out) as { generation: string }).generation;
  await site.ok('image', 'build', 'x', '--layers', 'rack');
  const first = await idOf();
  const tree = await site.tree();
  await rm(site.at('site/layers/rack'), { recursive: true });
  await writeFile(site.at('motd'), 'hello\n');
  await site.ok('image', 'put', 'x', `${site.at('motd')}:/etc/motd`);
  t.deepEqual(await site.tree(), tree);
  t.not(await idOf(), first);
  await site.ok('gc');
  await site.ok('image', 'verify', 'x', '--bytes-only');
});

test('.treeinfo keeps true checksums of what a layer replaces', async (t) => {
  const checksums = `\n[checksums]\nEULA = sha256:${sha256('the licence\n')}\nLICENSES = sha256:${sha256('the licences\n')}\n`;
  const site = await newSite(t, { '.treeinfo': TREEINFO_TEXT + checksums });
  await site.put('rack/tree/EULA', 'our terms\n');
  await site.ok('image', 'build', 'x', '--layers', 'rack');
  await site.ok('image', 'iso', 'x', '-o', site.at('x.iso'));
  await counterpart(
    ...(['xorriso', '-osirrox', 'on', '-indev', site.at('x.iso')] as const),
    ...['-extract', '/.treeinfo', site.at('treeinfo')],
  );
  const { sections } = parseTreeinfo(await readFile(site.at('treeinfo'), 'utf8'), '.treeinfo');
  t.deepEqual(
    [...(sections.get('checksums') ?? [])],
    [
      ['eula', `sha256:${sha256('our terms\n')}`],
      ['licenses', `sha256:${sha256('the licences\n')}`],
    ],
  );
});

test('a checkout of create-install-image is a directory of layers for image build', async (t) => {
  const site = await newSite(t);
  const before = await site.tree();
  await writeCheckout(site.at('checkout'));
  const { err } = await site.ok(
    'image',
    'build',
    'x',
    '--layers',
    `${site.at('checkout/configs/nokey')}:8.3:updates`,
  );
  t.true(
    err.includes(
      `${site.at('checkout/templates/iso/8.3')}: .treeinfo, EFI/xenserver/grub.cfg, boot/isolinux/isolinux.cfg: left out`,
    ),
    err,
  );
  t.deepEqual(await site.tree(), {
    ...before,
    'RPM-GPG-KEY-rack': sha256('a key\n'),
    'boot/isolinux/pg_main': sha256('the checkout’s page\n'),
  });
  t.is((await site.ok('image', 'cat', 'x', '/etc/installer/edition')).out, 'checkout\n');
  t.regex((await site.ok('image', 'files', 'x', '/opt')).out, /^-rwxr-xr-x.*\brun$/m);
  const units = (await site.ok('image', 'files', 'x', '/etc/systemd/system')).out;
  t.regex(units, /^l.*ldconfig\.service -> \/dev\/null$/m);
  const { boot } = JSON.parse((await site.ok('--json', 'image', 'show', 'x')).out) as Shown;
  t.is(boot[0]?.args, 'no-gpgcheck console=hvc0 console=tty0');
});

const REFUSED: readonly (readonly [name: string, message: RegExp])[] = [
  ['boot/vmlinuz', /^layer rack: boot\/vmlinuz, for the install tree, is a boot file of the osimage; /],
  ['install.img', /is a boot file of the osimage; change archives by overlay\/ or image put/],
  ['install.img/x', /install\.img\/x, for the install tree, lies below install\.img, which is a file/],
  ['boot/isolinux/isolinux.cfg', /is a loader’s menu, which is made of the boot entries/],
  ['boot/efiboot.img', /boots the ISO, and is made with it/],
  [
    'repodata/other.xml',
    /is metadata of its repository, which is made of the packages; put packages into packages\//,
  ],
  [
    'Packages',
    /Packages, for the install tree, is a directory of the tree \(Packages\/.*\); give the file another name/,
  ],
  ['.disk/info', /lies in \.disk\/, which is made with the ISO/],
  ['.treeinfo', /^layer rack: \.treeinfo:1: /],
];

for (const [name, message] of REFUSED) {
  test(`refused: tree/${name}`, async (t) => {
    const site = await newSite(t);
    await site.put(`rack/tree/${name}`, 'no section\n');
    const { status, err } = await site.rackboot('image', 'build', 'x', '--layers', 'rack');
    t.is(status, 1);
    t.regex(err.replace(/^rackboot: /, ''), message);
    t.is(err.trim().split('\n').length, 1);
  });
}

test('refused: a link in tree/', async (t) => {
  const site = await newSite(t);
  await mkdir(site.at('site/layers/rack/tree'), { recursive: true });
  await symlink('/etc/passwd', site.at('site/layers/rack/tree/link'));
  const { err } = await site.rackboot('image', 'build', 'x', '--layers', 'rack');
  t.regex(err, /rack\/tree\/link: files for an install tree are regular files, as they are fetched by HTTP/);
});
