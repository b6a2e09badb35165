import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCommand, runSucceeding, type Outcome } from '../../cli/in-process.js';
import { bundleFiles, manifestXml, STATELESS, writeBundle, type Fields } from './xcat-bundle.js';

let work = '';
let number = 0;
const at = (name: string): string => path.join(work, name);
const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', at('site'), ...words]);

const succeed = (...words: string[]): Promise<string> => runSucceeding(['--site', at('site'), ...words]);

/** The attributes of an osimage as lsdef writes them. */
async function attributes(name: string): Promise<Record<string, string>> {
  const lines = (await succeed('image', 'show', name, '-z')).split('\n');
  return Object.fromEntries(
    lines
      .filter((line) => line.startsWith('    '))
      .map((line) => line.trim().split(/=(.*)/s).slice(0, 2) as [string, string]),
  );
}

/** Writes a bundle with `files` changed, and imports it as an osimage of a name of its own. */
async function importing(
  changes: Readonly<Record<string, Buffer | string | null>>,
  ...words: string[]
): Promise<Outcome & { readonly name: string }> {
  const all = { ...(await bundleFiles(work)), ...changes };
  const files = Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, Buffer | string] => entry[1] !== null),
  );
  const name = `b${++number}`;
  const file = await writeBundle(at(`${name}.tgz`), files);
  return { name, ...(await rackboot('image', 'import', file, '--name', name, ...words)) };
}

test.before(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'rackboot-bundle-'));
  await succeed('init');
});
test.after.always(() => rm(work, { recursive: true, force: true }));

test.serial('a bundle brings name, attributes, boot files and lists', async (t) => {
  const file = await writeBundle(at('whole.tgz'), await bundleFiles(work));
  const { status, err } = await rackboot('image', 'import', file);
  t.is(status, 0, err);
  const name = STATELESS['imagename']!;
  const { imagename: _name, ...wanted } = STATELESS;
  t.deepEqual(await attributes(name), { objtype: 'osimage', ...wanted });
  const shown = JSON.parse(await succeed('--json', 'image', 'show', name)) as {
    readonly files: readonly { readonly path: string }[];
    readonly boot: readonly { readonly label: string }[];
  };
  t.deepEqual(shown.files.map((one) => one.path).sort(), [
    'initrd-stateless.gz',
    'kernel',
    'rootimg.cpio.gz',
  ]);
  t.is(shown.boot[0]?.label, 'netboot');
  await writeFile(at('motd'), 'after\n');
  await succeed('image', 'put', name, `${at('motd')}:/etc/motd`);
  t.is(await succeed('image', 'cat', name, '/etc/motd'), 'after\n');
  t.regex((await rackboot('image', 'import', file)).err, /exists already; choose another name/);
});

test.serial('plain tar, any order of files, and files at the top by other paths', async (t) => {
  const files = await bundleFiles(work);
  for (const [name, options] of [
    ['plain', []],
    ['reversed', ['-z', '--sort=name', '--transform=s,manifest.xml,manifest.xml,']],
    ['pax', ['-z', '--format=pax']],
    ['v7', ['-z', '--format=v7']],
  ] as const) {
    const file = await writeBundle(at(`${name}.tgz`), files, { options });
    const { status, err } = await rackboot('image', 'import', file, '--name', name);
    t.is(status, 0, `${name}: ${err}`);
  }
});

const LAYOUTS: readonly (readonly [what: string, manifest: string, wanted: Fields, note?: RegExp])[] = [
  [
    'flat, as before 2.8',
    `<xcatimage>${Object.entries({
      ...STATELESS,
      kernel: '/k/kernel',
      ramdisk: '/r/initrd-stateless.gz',
      rootimg: '/r/rootimg.cpio.gz',
    })
      .map(([name, value]) => `<${name}>${value}</${name}>`)
      .join('')}</xcatimage>`,
    { profile: 'compute', exlist: STATELESS['exlist']! },
  ],
  [
    'a list that is not in the bundle',
    manifestXml({ ...STATELESS, exlist: '/etc/shadow', otherpkglist: '/a/c.pkglist,/b/none.pkglist' }),
    { otherpkglist: '/a/c.pkglist' },
    /exlist: shadow is not in the bundle; \/etc\/shadow is left out/,
  ],
  [
    'a script with arguments',
    manifestXml({ ...STATELESS, postinstall: '/install/s.synclist --fast x' }),
    { postinstall: '/install/s.synclist --fast x' },
  ],
  ['comments', manifestXml({ ...STATELESS, comments: 'ours' }), { usercomment: 'ours' }],
  ['kits', manifestXml(STATELESS, undefined, '<kit><k><version>1</version></k></kit>'), {}, /kit: left out/],
  [
    'a column of nobody’s',
    manifestXml({ ...STATELESS, zap: '1' }),
    {},
    /zap: no attribute of an osimage; left out/,
  ],
];

for (const [what, manifest, wanted, note] of LAYOUTS) {
  test.serial(`manifest.xml: ${what}`, async (t) => {
    const places = manifest.includes('<kernel>') ? manifest : manifest.replace('<xcatimage>', '<xcatimage>');
    const { status, err, name } = await importing({ 'manifest.xml': places });
    t.is(status, 0, err);
    if (note !== undefined) t.regex(err, note);
    const found = await attributes(name);
    for (const [key, value] of Object.entries(wanted)) t.is(found[key], value, key);
    t.is(found['exlist'] === '/etc/shadow', false);
  });
}

test.serial('install and statelite images keep what they have, and boot nothing', async (t) => {
  const install = await importing({
    'manifest.xml': manifestXml(
      { ...STATELESS, provmethod: 'install', template: '/install/custom/install/rocky/c.tmpl' },
      { media: 'required' },
    ),
    'c.tmpl': 'lang en\n',
    kernel: null,
    'initrd-stateless.gz': null,
    'rootimg.cpio.gz': null,
  });
  t.is(install.status, 0, install.err);
  t.regex(install.err, /install: it has lists and no boot files; import the media of rocky9\.4/);
  t.is((await attributes(install.name))['template'], '/install/custom/install/rocky/c.tmpl');

  const rootimg = (await bundleFiles(work))['rootimg.cpio.gz']!;
  const statelite = await importing({
    'manifest.xml': manifestXml(
      { ...STATELESS, provmethod: 'statelite' },
      {
        kernel: '/a/kernel',
        ramdisk: '/a/initrd-statelite.gz',
        rootimgtree: '/a/rootimgtree.gz',
        litefile: '/a/litefile.csv',
      },
    ),
    'initrd-statelite.gz': 'initrd',
    'rootimgtree.gz': rootimg,
    'litefile.csv': '"ALL","/etc/x","tmpfs",,\n',
    'initrd-stateless.gz': null,
    'rootimg.cpio.gz': null,
  });
  t.is(statelite.status, 0, statelite.err);
  t.regex(statelite.err, /statelite: its files are kept, and no node boots it/);
  t.is(await succeed('image', 'cat', statelite.name, '/etc/motd'), 'before\n');
  for (const { name } of [install, statelite]) {
    const out = at(`${name}-again.tgz`);
    await succeed('image', 'export', name, '-o', out);
    await succeed('image', 'import', out, '--name', `${name}-again`);
    t.deepEqual(await attributes(`${name}-again`), await attributes(name));
  }
});

test.serial('--profile renames as imgimport -f does', async (t) => {
  const file = await writeBundle(at('profile.tgz'), await bundleFiles(work));
  await succeed('image', 'import', file, '--profile', 'login');
  const found = await attributes('rocky9.4-x86_64-netboot-login');
  t.is(found['profile'], 'login');
  t.is(found['rootimgdir'], '/install/netboot/rocky9.4/x86_64/login');
  t.is(found['exlist'], '/install/custom/netboot/rocky/login.rocky9.x86_64.exlist');
  t.is(found['pkglist'], '/install/custom/netboot/rocky/login.c.pkglist');
  t.is(found['synclists'], '/install/login.s.synclist');
  const out = at('login.tgz');
  await succeed('image', 'export', 'rocky9.4-x86_64-netboot-login', '-o', out);
  const listed = execFileSync('tar', ['tzf', out]).toString();
  t.regex(listed, /\/login\.rocky9\.x86_64\.exlist$/m);
  t.regex(listed, /\/login\.c\.pkglist$/m);
  for (const wrong of ['', '../x', 'a b']) {
    const { status, err } = await rackboot('image', 'import', file, '--profile', wrong, '--name', 'wrong');
    t.is(status, 1);
    t.regex(err, /a profile has letters/);
  }
});

test.serial('--postscripts sets those of the bundle, of the nodes, with the osimage', async (t) => {
  await succeed('node', 'add', 'n1', '--mac', '52:54:00:00:00:01', '--attr', 'postscripts=old');
  await succeed('node', 'add', 'n2', '--mac', '52:54:00:00:00:02', '--attr', 'postscripts=old');
  const more = '<postbootscripts>otherpkgs</postbootscripts>\n<postscripts>syslog,mysetup</postscripts>\n';
  const manifest = { 'manifest.xml': manifestXml(STATELESS, undefined, more) };
  const without = await importing(manifest);
  t.regex(without.err, /postbootscripts=otherpkgs postscripts=syslog,mysetup: set of no node/);
  const set = await importing(manifest, '--postscripts', 'n1');
  t.is(set.status, 0, set.err);
  t.notRegex(set.err, /set of no node/);
  t.regex(
    await succeed('node', 'show', 'n1', '-z'),
    /postbootscripts=otherpkgs\n {4}postscripts=syslog,mysetup\n/,
  );
  t.regex(await succeed('node', 'show', 'n2', '-z'), /postscripts=old\n/);
  const { status, err } = await importing(manifest, '--postscripts', 'nobody');
  t.is(status, 1);
  t.regex(err, /nobody/);
  const out = at('scripts.tgz');
  await succeed('image', 'export', set.name, '-o', out, '--postscripts', 'n1');
  const written = execFileSync('tar', ['xzOf', out, `./${set.name}/manifest.xml`]).toString();
  t.true(
    written.includes(
      '  <postbootscripts>otherpkgs</postbootscripts>\n  <postscripts>syslog,mysetup</postscripts>\n',
    ),
  );
});

/** Nothing came of the import. */
async function refused(
  t: ExecutionContext,
  { status, err, name }: Outcome & { name: string },
  says: RegExp,
): Promise<void> {
  t.is(status, 1, err);
  t.regex(err, says);
  t.regex(err, /^rackboot: [^\n]+\n$/m);
  t.is(err.split('\n').filter((line) => line.startsWith('rackboot:')).length, 1);
  t.not((await rackboot('image', 'show', name)).status, 0);
  t.deepEqual(await readdir(path.join(at('site'), 'store', 'scratch')).catch(() => []), []);
}

const REFUSED: readonly (readonly [
  what: string,
  changes: Readonly<Record<string, Buffer | string | null>>,
  says: RegExp,
])[] = [
  [
    'no rootimg',
    { 'rootimg.cpio.gz': null },
    /rootimg is "rootimg\.cpio\.gz", which is not in the bundle; .*packimage/,
  ],
  ['no kernel', { kernel: null }, /kernel is "kernel", which is not in the bundle/],
  ['malformed XML', { 'manifest.xml': '<xcatimage><osimage>' }, /manifest\.xml:1:\d+: /],
  [
    'no profile',
    { 'manifest.xml': manifestXml({ ...STATELESS, profile: '' }) },
    /the 'profile' field is not defined/,
  ],
  [
    'no osarch',
    { 'manifest.xml': manifestXml({ ...STATELESS, osarch: '' }) },
    /the 'osarch' field is not defined/,
  ],
  [
    'no rootimg said',
    { 'manifest.xml': manifestXml(STATELESS, { kernel: '/k/kernel', ramdisk: '/k/initrd-stateless.gz' }) },
    /the 'rootimg' field is not defined/,
  ],
  [
    'of a foreign architecture',
    { 'manifest.xml': manifestXml({ ...STATELESS, osarch: 'ppc64le' }) },
    /osarch is ppc64le; rackboot boots x86_64 and aarch64 machines only/,
  ],
  [
    'a provmethod of nobody’s',
    { 'manifest.xml': manifestXml({ ...STATELESS, provmethod: 'nim' }) },
    /provmethod is nim/,
  ],
  [
    'paths that leave the bundle',
    {
      'manifest.xml': manifestXml(STATELESS, {
        kernel: '/k/kernel',
        ramdisk: '/k/initrd-stateless.gz',
        rootimg: '../../../../etc/passwd',
      }),
    },
    /rootimg is "passwd", which is not in the bundle/,
  ],
  [
    'a root image that the initrd does not know',
    {
      'manifest.xml': manifestXml(STATELESS, {
        kernel: '/kernel',
        ramdisk: '/initrd-stateless.gz',
        rootimg: '/rootimg.zip',
      }),
      'rootimg.zip': 'x',
    },
    /a name that xCAT's initrd does not know/,
  ],
  ['a root image that is none', { 'rootimg.cpio.gz': 'nothing' }, /rootimg\.cpio\.gz: not an archive/],
];

for (const [what, changes, says] of REFUSED) {
  test.serial(`a bundle is refused: ${what}`, async (t) => {
    await refused(t, await importing(changes), says);
  });
}

test.serial('a bundle that is cut short is refused, wherever', async (t) => {
  const file = await writeBundle(at('cut.tgz'), await bundleFiles(work, { big: 'x'.repeat(100_000) }), {
    options: ['-z', '--sort=name'],
  });
  const whole = await readFile(file);
  for (const share of [0.5, 0.8, 0.99]) {
    const name = `cut${share}`;
    const copy = at(`${name}.tgz`);
    await writeFile(copy, whole);
    await truncate(copy, Math.floor(whole.length * share));
    await refused(
      t,
      { name, ...(await rackboot('image', 'import', copy, '--name', name)) },
      /cut[\d.]+\.tgz: .*(ends|short|fetch)/,
    );
  }
  const damaged = Buffer.from(whole);
  damaged[whole.length - 6] = (damaged[whole.length - 6] ?? 0) ^ 1; // of its CRC
  await writeFile(at('damaged.tgz'), damaged);
  await refused(
    t,
    { name: 'damaged', ...(await rackboot('image', 'import', at('damaged.tgz'), '--name', 'damaged')) },
    /CRC/,
  );
});

test.serial('what tar holds beside plain files is refused, and nothing is written elsewhere', async (t) => {
  const files = await bundleFiles(work);
  const dir = await mkdtemp(at('hostile-'));
  await mkdir(path.join(dir, 'image/extra'), { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(path.join(dir, 'image', name), bytes);
  const pack = async (what: string, ...words: string[]): Promise<Outcome & { name: string }> => {
    const name = `hostile-${what}`;
    execFileSync('tar', ['-C', dir, '-czf', at(`${name}.tgz`), ...words]);
    return { name, ...(await rackboot('image', 'import', at(`${name}.tgz`), '--name', name)) };
  };
  const outside = at('outside');
  await refused(
    t,
    await pack('climbs', '--transform', `s,^image/c.pkglist,image/../../../outside,`, 'image'),
    /outside|"image\/\.\.\//,
  );
  await refused(
    t,
    await pack('absolute', '-P', '--transform', `s,^image/c.pkglist,${outside},`, 'image'),
    /./,
  );
  t.false((await readdir(work)).includes('outside'));
  await symlink('/etc/passwd', path.join(dir, 'image/kernel2'));
  await refused(t, await pack('link', 'image'), /"image\/kernel2" is no plain file/);
  await rm(path.join(dir, 'image/kernel2'));
  await symlink('/etc/passwd', path.join(dir, 'image/extra/link'));
  const extra = await pack('extra', 'image');
  t.is(extra.status, 0, extra.err);
  t.regex(extra.err, /image\/extra\/link: is no plain file; left out/);
  await refused(
    t,
    await pack('twice', '--hard-dereference', 'image/manifest.xml', 'image/kernel', 'image'),
    /stands in it twice/,
  );
  await mkdir(path.join(dir, 'other'));
  await writeFile(path.join(dir, 'other/manifest.xml'), manifestXml());
  await refused(t, await pack('two', 'image', 'other'), /holds 2 osimages \(image, other\)/);
  execFileSync('tar', [
    '-C',
    path.join(dir, 'image'),
    '-czf',
    at('none.tgz'),
    '--transform=s,^,i/,',
    'rootimg.cpio.gz',
  ]);
  await refused(
    t,
    { name: 'none', ...(await rackboot('image', 'import', at('none.tgz'), '--name', 'none')) },
    /holds no manifest\.xml/,
  );
});

test.serial('a bomb is stopped', async (t) => {
  const { name, status, err } = await importing({ big: Buffer.alloc(40_000_000) }, '--max-entries', '4');
  t.is(status, 1);
  t.regex(err, /more than 4 entries/);
  t.not((await rackboot('image', 'show', name)).status, 0);
});

test.serial('options that are for media, and media without a name', async (t) => {
  const file = at('whole.tgz');
  await succeed('node', 'add', 'p1', '--mac', '525400000077');
  for (const [words, says] of [
    [[file, '--family', 'xcat', '--name', 'y'], /a bundle says itself what it holds/],
    [[file, '--kernel', 'x', '--name', 'y'], /leave --family, --kernel and --initrd out/],
    [[at('motd')], /no bundle, which would bring its osimage's name; give it one with --name/],
    [[at('motd'), '--name', 'y', '--profile', 'p'], /leave --profile out/],
    [[at('motd'), '--name', 'y', '--postscripts', 'p1'], /leave --postscripts out/],
  ] as const) {
    const { status, err } = await rackboot('image', 'import', ...words);
    t.is(status, 1);
    t.regex(err, says);
  }
});

test.serial('a tar archive that is a root file system is an image by itself', async (t) => {
  const root = await mkdtemp(at('fs-'));
  await mkdir(path.join(root, 'boot'));
  await writeFile(path.join(root, 'boot/manifest.xml'), 'x');
  execFileSync('tar', ['-C', root, '-czf', at('fs.tar.gz'), '.']);
  await succeed('image', 'import', at('fs.tar.gz'), '--name', 'fs');
  t.regex(await succeed('image', 'show', 'fs'), /family +generic/);
});

test.serial('an exlist that came with the osimage is what packing leaves out by', async (t) => {
  const { status, err, name } = await importing({
    'manifest.xml': manifestXml({ ...STATELESS, synclists: '' }),
    'compute.rocky9.x86_64.exlist': './etc/hosts\n',
  });
  t.is(status, 0, err);
  await succeed('image', 'unpack', name, at('tree'));
  await succeed('image', 'pack', name, at('tree'), '-m', 'squashfs');
  const files = await succeed('image', 'files', name);
  t.regex(files, /etc\/motd/);
  t.notRegex(files, /etc\/hosts/);
  await succeed('image', 'export', name, '-o', at('packed.tgz'));
  await succeed('image', 'import', at('packed.tgz'), '--name', 'packed');
  const shown = async (osimage: string): Promise<unknown> =>
    (JSON.parse(await succeed('--json', 'image', 'show', osimage)) as { files: unknown }).files;
  t.deepEqual(await shown('packed'), await shown(name));
  t.regex(JSON.stringify(await shown('packed')), /rootimg\.sfs/);
});

test.serial('a synclist that came with the osimage is not followed, and packing says so', async (t) => {
  const { status, err, name } = await importing({});
  t.is(status, 0, err);
  await succeed('image', 'unpack', name, at('strange'));
  const refused = await rackboot('image', 'pack', name, at('strange'));
  t.is(refused.status, 1);
  t.regex(
    refused.err,
    /s\.synclist: no such file here, and the one that came .* is not followed: .*--nosyncfiles/,
  );
});
