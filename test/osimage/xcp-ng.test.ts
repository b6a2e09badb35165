import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseGrub } from '../../src/image/boot-config/grub.js';
import { parseSyslinux } from '../../src/image/boot-config/syslinux.js';
import { runCommand, runSucceeding, type Outcome } from '../cli/in-process.js';
import { counterpart, openImageFile, readAll } from '../image/iso/counterparts.js';
import { findNode } from '../../src/image/iso/reader.js';
import { makeXcpNgIso, writeXcpNg, ISOLINUX_CFG } from './family/xcp-ng-media.js';

let parent = '';
const at = (...names: string[]): string => join(parent, ...names);
const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', at('site'), ...words]);

const succeed = (...words: string[]): Promise<string> => runSucceeding(['--site', at('site'), ...words]);

interface Entry {
  readonly kind: string;
  readonly label: string;
  readonly hypervisor?: string;
  readonly hypervisorArgs?: string;
  readonly kernel: string;
  readonly args: string;
  readonly initrds: readonly string[];
}
interface Shown {
  readonly family: string;
  readonly boot: readonly Entry[];
  readonly files: readonly { readonly path: string }[];
  readonly tree: readonly { readonly path: string }[];
}
const show = async (name: string): Promise<Shown> =>
  JSON.parse(await succeed('--json', 'image', 'show', name)) as Shown;

test.before(async () => {
  parent = await mkdtemp(join(tmpdir(), 'rackboot-xcp-ng-'));
  await writeXcpNg(at('media'));
  makeXcpNgIso(at('media'), at('vendor.iso'));
  await succeed('init');
  await succeed('image', 'import', at('vendor.iso'), '--name', 'xcp');
  await succeed('image', 'iso', 'xcp', '-o', at('xcp.iso'));
});

test.after.always(() => rm(parent, { recursive: true, force: true }));

test('the progress of an import ends at the whole', async (t) => {
  const { status, err } = await rackboot('image', 'import', at('vendor.iso'), '--name', 'progress');
  t.is(status, 0, err);
  const percents = [...err.matchAll(/^(\d+) % of /gm)].map(([, percent]) => Number(percent));
  t.true(percents.length > 0);
  t.deepEqual(
    percents.filter((percent) => percent > 100),
    [],
  );
  t.is(percents.at(-1), 100);
});

const LABELS = ['install', 'no-serial', 'safe', 'multipath', 'install-alt', 'shell', 'memtest'];

test('an ISO comes in with every menu entry, its packages as the tree, and without its loaders’ menus', async (t) => {
  const { family, boot, files, tree } = await show('xcp');
  t.is(family, 'xcp-ng');
  t.deepEqual(
    boot.map(({ label }) => label),
    LABELS,
  );
  t.like(boot[4], {
    kind: 'xen',
    hypervisor: 'boot/xen.gz',
    hypervisorArgs: 'dom0_max_vcpus=1-16 dom0_mem=max:8192M com1=115200,8n1 console=com1,vga',
    kernel: 'boot/alt/vmlinuz',
    args: 'console=hvc0 console=tty0 kernel-alt',
    initrds: ['install.img'],
  });
  t.deepEqual(files.map(({ path }) => path).sort(), [
    'boot/alt/vmlinuz',
    'boot/memtest.bin',
    'boot/memtest.efi',
    'boot/vmlinuz',
    'boot/xen.gz',
    'install.img',
  ]);
  const paths = tree.map(({ path }) => path);
  for (const path of [
    '.treeinfo',
    'repodata/repomd.xml.asc',
    'Packages/a package+1.0-1.x86_64.rpm',
    'boot/pxelinux/pxelinux.0',
  ])
    t.true(paths.includes(path), path);
  for (const path of [
    'boot/isolinux/isolinux.cfg',
    'EFI/xenserver/grub.cfg',
    'boot/isolinux/boot.cat',
    'boot/efiboot.img',
  ])
    t.false(paths.includes(path), path);
  t.is(await succeed('image', 'cat', 'xcp', '/etc/motd'), 'XCP-ng-shaped installer of the tests\n');
});

test('the directory that the ISO was made of comes in alike', async (t) => {
  await succeed('image', 'import', at('media'), '--name', 'dir');
  const [iso, dir] = [await show('xcp'), await show('dir')];
  t.deepEqual(dir.boot, iso.boot);
  t.deepEqual(
    dir.tree.map(({ path }) => path),
    iso.tree.map(({ path }) => path),
  );
  await succeed('image', 'iso', 'dir', '-o', at('dir.iso'));
  const labels = (await counterpart('isoinfo', '-d', '-i', at('dir.iso'))).toString();
  t.regex(labels, /Volume id: dir\n/);
});

for (const [title, files, message] of [
  ['.treeinfo', { '.treeinfo': null }, /repomd\.xml: there is no \.treeinfo, and the installer stops after/],
  [
    'signature',
    { 'repodata/repomd.xml.asc': null },
    /lists a key, and repodata\/repomd\.xml\.asc is not there/,
  ],
  ['key', { 'RPM-GPG-KEY-xcpng': null }, /lists a key, and RPM-GPG-KEY-xcpng is not there: .*repo sign$/m],
  ['readable .treeinfo', { '.treeinfo': 'x\n' }, /\.treeinfo:1: a value before any \[section\]/],
] as const) {
  test(`media that lost their ${title} come in, and it is told`, async (t) => {
    const name = title.replace(/[^a-z]/g, '');
    await writeXcpNg(at(`lost-${name}`), { files });
    const { status, err } = await rackboot('image', 'import', at(`lost-${name}`), '--name', `lost-${name}`);
    t.is(status, 0, err);
    t.regex(err, message);
  });
}

test('a menu in several files comes in as one, and none of them is left on an ISO', async (t) => {
  const [head = '', ...labels] = ISOLINUX_CFG.split(/^(?=label )/m);
  await writeXcpNg(at('parts'), {
    isolinux: () => `${head}include part1.cfg\nmenu include parts/part2.cfg\ninclude lost.cfg\n`,
    files: {
      'boot/isolinux/part1.cfg': labels.slice(0, 3).join(''),
      'boot/isolinux/parts/part2.cfg': labels.slice(3).join(''),
    },
  });
  const { err } = await rackboot('image', 'import', at('parts'), '--name', 'parts');
  t.regex(err, /isolinux\.cfg: includes boot\/isolinux\/lost\.cfg, which cannot be read/);
  const [whole, parts] = [await show('xcp'), await show('parts')];
  t.deepEqual(parts.boot, whole.boot);
  t.deepEqual(
    parts.tree.map(({ path }) => path),
    whole.tree.map(({ path }) => path),
  );
});

test('its ISO has the vendor’s volume id, loaders and layout, as other programs see them', async (t) => {
  const volume = (await counterpart('isoinfo', '-d', '-i', at('xcp.iso'))).toString();
  t.regex(volume, /Volume id: XCP-ng 8\.3\.0\n/);
  t.regex(volume, /Joliet with UCS level 3 found/);
  t.regex(volume, /Rock Ridge signatures version 1 found/);
  const report = (
    await counterpart(
      'xorriso',
      '-indev',
      at('xcp.iso'),
      '-report_el_torito',
      'plain',
      '-report_system_area',
      'plain',
    )
  ).toString();
  t.regex(report, /El Torito img path : +1 +\/boot\/isolinux\/isolinux\.bin/);
  t.regex(report, /El Torito img path : +2 +\/boot\/efiboot\.img/);
  t.regex(report, /El Torito cat path : +\/boot\/isolinux\/boot\.cat/);
  t.regex(report, /El Torito img opts : +1 +boot-info-table isohybrid-suitable/);
  t.regex(report, /System area summary: MBR isohybrid cyl-align-\w+ GPT\n/);
  const listing = (await counterpart('7z', 'l', '-ba', at('xcp.iso'))).toString();
  for (const path of [
    'boot/pxelinux/pxelinux.0',
    'boot/alt/vmlinuz',
    'boot/memtest.efi',
    'EFI/xenserver/grubx64.efi',
    'Packages/a package+1.0-1.x86_64.rpm',
  ])
    t.true(listing.includes(path), path);
  const [vendors, ours] = [await readFile(at('vendor.iso')), await readFile(at('xcp.iso'))];
  t.true(vendors.subarray(0, 432).equals(ours.subarray(0, 432)), 'boot code');
});

/** The GRUB menu inside of efiboot.img, as mtools takes it out. */
async function menuInEfiBoot(iso: string): Promise<string> {
  const dir = await mkdtemp(at('efi-'));
  await writeFile(
    join(dir, 'efiboot.img'),
    await counterpart('isoinfo', '-R', '-i', iso, '-x', '/boot/efiboot.img'),
  );
  return (
    await counterpart('mcopy', '-i', join(dir, 'efiboot.img'), '::EFI/xenserver/grub.cfg', '-')
  ).toString();
}

async function menusOf(iso: string): Promise<{ isolinux: string; grub: string; efi: string }> {
  const text = async (path: string): Promise<string> =>
    (await counterpart('isoinfo', '-R', '-i', iso, '-x', path)).toString();
  return {
    isolinux: await text('/boot/isolinux/isolinux.cfg'),
    grub: await text('/EFI/xenserver/grub.cfg'),
    efi: await menuInEfiBoot(iso),
  };
}

test('all menus of its ISO say the same, and what the vendor’s said', async (t) => {
  const { isolinux, grub, efi } = await menusOf(at('xcp.iso'));
  t.is(grub, efi);
  execFileSync('grub-script-check', { input: grub });
  t.regex(grub, /^search --no-floppy --file --set=root \/\.disk\/rackboot-[0-9a-f]{12}$/m);
  const bios = parseSyslinux(isolinux, 'boot/isolinux');
  const uefi = parseGrub(grub);
  const vendors = parseSyslinux(ISOLINUX_CFG, 'boot/isolinux');
  t.deepEqual(
    bios.entries.map(({ starts }) => starts),
    vendors.entries.map(({ starts }) => starts),
  );
  t.deepEqual(
    uefi.entries.slice(0, -1).map(({ label, starts }) => [label, starts]),
    vendors.entries.slice(0, -1).map(({ label, starts }) => [label, starts]),
  );
  t.deepEqual(uefi.entries.at(-1), {
    label: 'memtest',
    title: 'memtest',
    starts: { kind: 'efi', program: 'boot/memtest.efi' },
  });
  t.regex(isolinux, /^ {2}LINUX \/boot\/memtest\.bin$/m);
});

test('its ISO holds every file as it was, and verify agrees until a byte is changed', async (t) => {
  const [vendors, ours] = [await openImageFile(t, at('vendor.iso')), await openImageFile(t, at('xcp.iso'))];
  const remade = /(isolinux\.(cfg|bin)|grub\.cfg|boot\.cat|efiboot\.img|install\.img)$/;
  for (const node of vendors.nodes.filter(({ kind, path }) => kind === 'file' && !remade.test(path))) {
    t.true((await readAll(vendors, node)).equals(await readAll(ours, findNode(ours, node.path))), node.path);
  }
  const unpacked = async (iso: typeof ours): Promise<Buffer> =>
    execFileSync('bunzip2', { input: await readAll(iso, findNode(iso, 'install.img')) });
  t.true((await unpacked(vendors)).equals(await unpacked(ours)), 'install.img, cut into blocks');
  t.is((await rackboot('image', 'verify', 'xcp', '--bytes-only', '--iso', at('xcp.iso'))).status, 0);
  const offset = findNode(ours, 'boot/efiboot.img').extents[0]?.offset ?? 0;
  await copyFile(at('xcp.iso'), at('bad.iso'));
  const file = await open(at('bad.iso'), 'r+');
  await file.write(Buffer.from('x'), 0, 1, offset + 70_000);
  await file.close();
  t.regex(
    (await rackboot('image', 'verify', 'xcp', '--bytes-only', '--iso', at('bad.iso'))).err,
    /1 of \d+ parts differ/,
  );
});

test('a netinstall ISO has no packages and says so to the installer, on every menu', async (t) => {
  await succeed('image', 'iso', 'xcp', '--netinstall', '-o', at('net.iso'));
  const { nodes } = await openImageFile(t, at('net.iso'));
  const paths = nodes.map(({ path }) => path);
  for (const path of ['.treeinfo', 'Packages', 'repodata']) t.false(paths.includes(path), path);
  for (const path of ['install.img', 'boot/pxelinux/pxelinux.0', 'RPM-GPG-KEY-xcpng', 'EULA'])
    t.true(paths.includes(path), path);
  const { isolinux, grub, efi } = await menusOf(at('net.iso'));
  t.is(grub, efi);
  for (const { entries } of [parseSyslinux(isolinux, 'boot/isolinux'), parseGrub(grub)]) {
    const kernels = entries.flatMap(({ starts }) => (starts.kind === 'xen' ? [starts.args] : []));
    t.is(kernels.length, 6);
    for (const args of kernels) t.regex(args, /^netinstall console=/);
  }
  t.is((await rackboot('image', 'verify', 'xcp', '--bytes-only', '--iso', at('net.iso'))).status, 0);
});

test('layers’ arguments reach every kernel line, and what they change in install.img is on the ISO', async (t) => {
  await succeed('image', 'import', at('vendor.iso'), '--name', 'site');
  const layer = at('site', 'layers', 'mine');
  await mkdir(join(layer, 'overlay', 'etc'), { recursive: true });
  await writeFile(join(layer, 'overlay', 'etc', 'motd'), 'changed\n');
  await writeFile(
    join(layer, 'bootargs'),
    'network_config=static:ip=192.0.2.9;netmask=255.255.255.0 sshpassword=x\n',
  );
  await writeFile(join(layer, 'xenargs'), 'loglvl=all\n');
  await succeed('image', 'build', 'site', '--layers', 'mine');
  await succeed('image', 'iso', 'site', '-o', at('site.iso'));
  const { isolinux, grub, efi } = await menusOf(at('site.iso'));
  t.is(grub, efi);
  execFileSync('grub-script-check', { input: grub });
  for (const { entries } of [parseSyslinux(isolinux, 'boot/isolinux'), parseGrub(grub)]) {
    for (const { starts } of entries) {
      if (starts.kind !== 'xen') continue;
      // The vendor's words stay last: the installer talks on the last console.
      t.regex(
        starts.args,
        /^network_config=static:ip=192\.0\.2\.9;netmask=255\.255\.255\.0 sshpassword=x console=/,
      );
      t.regex(starts.hypervisorArgs, /loglvl=all/);
    }
  }
  const iso = await openImageFile(t, at('site.iso'));
  const archive = await readAll(iso, findNode(iso, 'install.img'));
  const motd = execFileSync('sh', ['-c', 'bunzip2 -c | cpio -i --quiet --to-stdout etc/motd'], {
    input: archive,
  });
  t.is(motd.toString(), 'changed\n');
  t.is((await rackboot('image', 'verify', 'site', '--bytes-only', '--iso', at('site.iso'))).status, 0);
});

test('on request the node’s answer file is in install.img, and no server is asked for it', async (t) => {
  await succeed('image', 'import', at('vendor.iso'), '--name', 'alone');
  const layer = at('site', 'layers', 'answers');
  await mkdir(layer, { recursive: true });
  await writeFile(join(layer, 'bootargs'), '{% if answerfile %} answerfile={{ answerfile }} {% endif %}\n');
  await writeFile(
    join(layer, 'answerfile.liquid'),
    `<installation mode="fresh" repo-gpgcheck="true" gpgcheck="true">
  <primary-disk>sda</primary-disk>
  <root-password type="plaintext">secret of {{ node.name }}</root-password>
  <source type="url">{{ tree }}</source>
  <admin-interface name="eth0" proto="dhcp"/>
</installation>
`,
  );
  await succeed('image', 'build', 'alone', '--layers', 'answers');
  t.regex(
    (await rackboot('image', 'iso', 'alone', '-o', at('x.iso'), '--answerfile')).err,
    /name the node with --node/,
  );
  await succeed('node', 'add', 'n7', '--mac', '52:54:00:00:00:07', '--ip', '192.0.2.7');
  await succeed('nodeset', 'n7', 'osimage=alone:multipath');
  const { status, err } = await rackboot(
    'image',
    'iso',
    'alone',
    '-o',
    at('n7.iso'),
    '--node',
    'n7',
    '--answerfile',
  );
  t.is(status, 0, err);
  t.regex(err, /holds the answer file of n7; only its owner may read it/);
  t.is((await stat(at('n7.iso'))).mode & 0o777, 0o600);
  const { isolinux, grub, efi } = await menusOf(at('n7.iso'));
  t.is(grub, efi);
  for (const menu of [parseSyslinux(isolinux, 'boot/isolinux'), parseGrub(grub)]) {
    const first = menu.entries[menu.defaultEntry];
    t.is(first?.label, 'multipath');
    t.regex(
      first?.starts.kind === 'xen' ? first.starts.args : '',
      /^answerfile=file:\/\/\/rackboot-answerfile console=/,
    );
  }
  t.false(isolinux.includes('token='));
  const iso = await openImageFile(t, at('n7.iso'));
  const archive = await readAll(iso, findNode(iso, 'install.img'));
  const answer = execFileSync('sh', ['-c', 'bunzip2 -c | cpio -i --quiet --to-stdout rackboot-answerfile'], {
    input: archive,
  });
  t.regex(answer.toString(), /secret of n7/);
  t.is((await rackboot('image', 'verify', 'alone', '--bytes-only', '--iso', at('n7.iso'))).status, 0);
  const offset = findNode(iso, 'install.img').extents[0]?.offset ?? 0;
  const file = await open(at('n7.iso'), 'r+');
  await file.write(Buffer.from('x'), 0, 1, offset + archive.length - 20);
  await file.close();
  t.is((await rackboot('image', 'verify', 'alone', '--bytes-only', '--iso', at('n7.iso'))).status, 1);
});

test('media without loaders gets Debian’s, and a GRUB that loads Xen', async (t) => {
  const { dir } = { dir: at('bare') };
  await writeXcpNg(dir);
  for (const path of ['boot/isolinux/isolinux.bin', 'boot/efiboot.img']) await rm(join(dir, path));
  await succeed('image', 'import', dir, '--name', 'bare');
  await succeed('image', 'iso', 'bare', '-o', at('bare.iso'));
  const menu = async (path: string): Promise<string> =>
    (await counterpart('isoinfo', '-R', '-i', at('bare.iso'), '-x', path)).toString();
  t.is(parseSyslinux(await menu('/isolinux/isolinux.cfg'), 'isolinux').entries.length, 7);
  t.is(parseGrub(await menu('/boot/grub/grub.cfg')).entries.length, 7);
  const image = await openImageFile(t, at('bare.iso'));
  for (const path of ['isolinux/mboot.c32', 'isolinux/libcom32.c32'])
    t.is(findNode(image, path).kind, 'file');
  const program = await readAll(image, findNode(image, 'EFI/BOOT/BOOTX64.EFI'));
  t.true(program.includes('multiboot2') && program.length < 4_000_000);
  t.is((await rackboot('image', 'verify', 'bare', '--bytes-only', '--iso', at('bare.iso'))).status, 0);
});

test('media with one loader says so at import', async (t) => {
  await writeXcpNg(at('bios-only'));
  await rm(at('bios-only', 'boot/efiboot.img'));
  const { err } = await rackboot('image', 'import', at('bios-only'), '--name', 'bios-only');
  t.regex(err, /isolinux\.bin is the only loader of the media; an ISO made of it boots on BIOS only/);
  await succeed('image', 'iso', 'bios-only', '-o', at('bios-only.iso'));
  const report = (
    await counterpart('xorriso', '-indev', at('bios-only.iso'), '-report_el_torito', 'plain')
  ).toString();
  t.regex(report, /El Torito boot img : +1 +BIOS/);
  t.notRegex(report, /UEFI/);
});
