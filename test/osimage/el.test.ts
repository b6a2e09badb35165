import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseGrub } from '../../src/image/boot-config/grub.js';
import { parseSyslinux } from '../../src/image/boot-config/syslinux.js';
import { findNode } from '../../src/image/iso/reader.js';
import { findGeneration } from '../../src/osimage/find.js';
import { generationId } from '../../src/osimage/generation-id.js';
import { manifestOf } from '../../src/osimage/manifest.js';
import { storeBlobArtifact } from '../../src/osimage/artifacts.js';
import { neededBlobs } from '../../src/osimage/needed-blobs.js';
import { parseTreeinfo } from '../../src/repo/treeinfo.js';
import { defaultConfig } from '../../src/site/config.js';
import { siteAt } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { runCommand, runSucceeding, type Outcome } from '../cli/in-process.js';
import { counterpart, openImageFile } from '../image/iso/counterparts.js';
import { GRUB, LABEL, makeElIso, writeEl } from './family/el-media.js';

const GRUB_MODULES = ['biosdisk', 'iso9660', 'normal', 'linux', 'search', 'search_fs_file'];

let parent = '';
let imported: Outcome;
const at = (...names: string[]): string => join(parent, ...names);
const rackboot = (...words: string[]): Promise<Outcome> => runCommand(['--site', at('site'), ...words]);

const succeed = (...words: string[]): Promise<string> => runSucceeding(['--site', at('site'), ...words]);

test.before(async () => {
  parent = await mkdtemp(join(tmpdir(), 'rackboot-el-'));
  await writeEl(at('media'));
  makeElIso(at('media'), at('vendor.iso'));
  await succeed('init');
  imported = await rackboot('image', 'import', at('vendor.iso'), '--name', 'el9');
  await succeed('image', 'iso', 'el9', '-o', at('el9.iso'));
  await succeed('image', 'iso', 'el9', '--netinstall', '-o', at('net.iso'));
});
test.after.always(() => rm(parent, { recursive: true, force: true }));

interface Shown {
  readonly family: string;
  readonly boot: readonly { label: string; kernel: string; args: string; initrds: readonly string[] }[];
  readonly tree: readonly { readonly path: string }[];
}

test('kernel and archive as .treeinfo names them, the tree instead of the disc, no media check by default', async (t) => {
  t.is(imported.status, 0, imported.err);
  t.regex(
    imported.err,
    /boot entry rescue: kernel arguments differ: BIOS has another order, EFI has inst\.text/,
  );
  t.regex(imported.err, /isolinux\/vmlinuz: a second copy for one loader/);
  const { family, boot, tree } = JSON.parse(await succeed('--json', 'image', 'show', 'el9')) as Shown;
  t.is(family, 'el');
  t.deepEqual(
    boot.map(({ label, kernel, args, initrds }) => [label, kernel, args, ...initrds]),
    [
      ['linux', 'inst.repo={{ tree }} quiet'],
      ['check', 'inst.repo={{ tree }} rd.live.check quiet'],
      ['rescue', 'inst.repo={{ tree }} inst.rescue quiet'],
    ].map(([label, args]) => [label, 'images/pxeboot/vmlinuz', args, 'images/pxeboot/initrd.img']),
  );
  const paths = tree.map(({ path }) => path);
  t.true(paths.includes('images/install.img'));
  for (const path of [
    'isolinux/vmlinuz',
    'isolinux/initrd.img',
    'images/pxeboot/initrd.img',
    'EFI/BOOT/grub.cfg',
  ])
    t.false(paths.includes(path), path);
  t.is(await succeed('image', 'cat', 'el9', '/etc/motd'), 'Anaconda-shaped\n');
});

/** The files that .treeinfo of an ISO lists checksums of, and whether each is the file’s. */
async function checksumsOn(iso: string): Promise<[string, boolean][]> {
  const dir = `${iso}.files`;
  await succeed('iso', 'extract', iso, dir);
  const { checksummed, sections } = parseTreeinfo(await readFile(join(dir, '.treeinfo'), 'utf8'), iso);
  const found: [string, boolean][] = [];
  for (const name of checksummed) {
    const is = createHash('sha256').update(await readFile(join(dir, name)));
    found.push([name, sections.get('checksums')?.get(name) === `sha256:${is.digest('hex')}`]);
  }
  return found;
}

test('.treeinfo keeps true checksums whatever becomes of the initrd, and a wrong one is found', async (t) => {
  const all = ['images/install.img', 'images/pxeboot/initrd.img', 'images/pxeboot/vmlinuz'];
  const expected = all.map((name): [string, boolean] => [name, true]);
  t.deepEqual(await checksumsOn(at('vendor.iso')), [['images/efiboot.img', true], ...expected]);
  t.deepEqual(await checksumsOn(at('el9.iso')), expected, 'the image that boots it is made anew');

  await succeed('image', 'import', at('media'), '--name', 'sums');
  await mkdir(at('site/layers/motd/overlay/etc'), { recursive: true });
  await writeFile(at('site/layers/motd/overlay/etc/motd'), 'changed\n');
  await mkdir(at('site/layers/licence/tree'), { recursive: true });
  await writeFile(at('site/layers/licence/tree/EULA'), 'licence\n');
  const steps = [
    ['build', 'sums', '--layers', 'motd'],
    ['build', 'sums', '--layers', 'motd:licence'],
    ['put', 'sums', `${at('media/media.repo')}:/etc/more`],
    ['build', 'sums', '--layers', 'licence', '--discard-edits'],
    ['rollback', 'sums', '2'],
  ];
  for (const [step, words] of steps.entries()) {
    await succeed('image', ...words);
    const iso = at(`sums${step}.iso`);
    await succeed('image', 'iso', 'sums', '-o', iso);
    t.deepEqual(await checksumsOn(iso), expected, words.join(' '));
  }

  const tree = at('sums0.iso.files');
  const wrong = /pxeboot\/initrd\.img: not the file that \.treeinfo means \(its sha256 differs\)/;
  const verified = async (): Promise<string> => {
    const { out, err } = await rackboot('repo', 'verify', tree);
    return out + err;
  };
  t.notRegex(await verified(), wrong);
  await copyFile(at('media/images/pxeboot/initrd.img'), join(tree, 'images/pxeboot/initrd.img'));
  t.regex(await verified(), wrong);
  await rm(join(tree, 'images/install.img'));
  t.regex(await verified(), /\.treeinfo lists checksums of files that are not there: images\/install\.img/);
});

test('of a generation that an earlier release made the checksums are found wrong, with the mend, which mends them', async (t) => {
  await succeed('image', 'import', at('media'), '--name', 'older');
  const store = await openStore(siteAt(at('site'), defaultConfig()));
  try {
    const record = await findGeneration(store, 'older');
    const manifest = manifestOf(record);
    const bytes = await readFile(at('media', '.treeinfo'));
    await store.write('test', async (writer) => {
      const { artifact: vendors } = await storeBlobArtifact(
        '.treeinfo',
        await writer.put(bytes),
        bytes.length,
        writer,
      );
      await writer.seal();
      const before = {
        ...manifest,
        tree: manifest.tree.map((artifact) => (artifact.path === '.treeinfo' ? vendors : artifact)),
        inputs: { ...manifest.inputs, engine: '2/zlib-1', imported: '2/zlib-1' },
      };
      await store.osimages.publish(
        {
          osimage: 'older',
          family: manifest.family,
          id: generationId(manifest.family, before.inputs),
          parent: record.id,
          note: 'as an earlier release imported it',
          manifest: JSON.stringify(before),
          blobs: await neededBlobs(store.blobs, before, [], new Map()),
        },
        { create: false },
      );
    });
  } finally {
    await store.close();
  }
  const wrong =
    /pxeboot\/initrd\.img: not the file that \.treeinfo means \(its sha256 differs\); an earlier rackboot made this generation and kept the vendor’s checksums; run: rackboot image build older/;
  const verified = async (): Promise<string> => {
    const { out, err } = await rackboot('image', 'verify', 'older');
    return out + err;
  };
  t.regex(await verified(), wrong);
  await succeed('image', 'build', 'older');
  t.notRegex(await verified(), /not the file that \.treeinfo means/);
});

test('a node gets the tree of its generation on its kernel line', async (t) => {
  await succeed('node', 'add', 'n1', '--mac', '52:54:00:00:00:01');
  await succeed('nodeset', 'n1', 'osimage=el9:rescue');
  const { status, err } = await rackboot('nodeset', 'n1', 'osimage=el9:nope');
  t.is(status, 1);
  t.regex(err, /nope/);
});

const textOf = async (iso: string, path: string): Promise<string> =>
  (await counterpart('isoinfo', '-R', '-i', iso, '-x', path)).toString();

test('on its ISO the second stage is on the disc; without packages these come from the network', async (t) => {
  const disc = `inst.stage2=hd:LABEL=${LABEL}`;
  for (const [iso, words] of [
    [at('el9.iso'), new RegExp(`^${disc} quiet$`)],
    [
      at('net.iso'),
      new RegExp(`^${disc} inst\\.repo=http://127\\.0\\.0\\.1:8080/images/el9@[0-9a-f]{64}/tree quiet$`),
    ],
  ] as const) {
    const bios = parseSyslinux(await textOf(iso, '/isolinux/isolinux.cfg'), 'isolinux');
    const efi = parseGrub(await textOf(iso, '/EFI/BOOT/grub.cfg'));
    for (const { entries } of [bios, efi]) {
      const [first] = entries;
      t.like(first?.starts, { kernel: 'images/pxeboot/vmlinuz', initrds: ['images/pxeboot/initrd.img'] });
      t.regex(first?.starts.kind === 'linux' ? first.starts.args : '', words);
    }
    t.is((await rackboot('image', 'verify', 'el9', '--bytes-only', '--iso', iso)).status, 0);
  }
  const { nodes } = await openImageFile(t, at('net.iso'));
  const paths = nodes.map(({ path }) => path);
  t.true(paths.includes('images/install.img') && paths.includes('.treeinfo'));
  t.false(paths.includes('repodata/repomd.xml'));
});

test('checkisomd5 finds the sum in our ISO, and finds a changed byte', async (t) => {
  await t.notThrowsAsync(counterpart('checkisomd5', at('el9.iso')));
  const image = await openImageFile(t, at('el9.iso'));
  await copyFile(at('el9.iso'), at('bad.iso'));
  const file = await open(at('bad.iso'), 'r+');
  await file.write(Buffer.from('X'), 0, 1, findNode(image, 'images/install.img').extents[0]?.offset ?? 0);
  await file.close();
  await t.throwsAsync(counterpart('checkisomd5', at('bad.iso')));
});

test('on request the node’s kickstart file is on the disc', async (t) => {
  await succeed('image', 'import', at('vendor.iso'), '--name', 'ks');
  const layer = at('site', 'layers', 'kickstart');
  await mkdir(layer, { recursive: true });
  await writeFile(join(layer, 'bootargs'), '{% if answerfile %} inst.ks={{ answerfile }} {% endif %}\n');
  await writeFile(join(layer, 'answerfile.liquid'), 'url --url={{ tree }}\nrootpw secret\n');
  await succeed('image', 'build', 'ks', '--layers', 'kickstart');
  await succeed('node', 'add', 'n2', '--mac', '52:54:00:00:00:02');
  await succeed('nodeset', 'n2', 'osimage=ks');
  await succeed('image', 'iso', 'ks', '-o', at('ks.iso'), '--node', 'n2', '--answerfile');
  const menu = await textOf(at('ks.iso'), '/isolinux/isolinux.cfg');
  t.true(menu.includes(` inst.ks=hd:LABEL=${LABEL}:/rackboot-answerfile`), menu);
  t.regex(await textOf(at('ks.iso'), '/rackboot-answerfile'), /^url --url=http:\S+\/tree\nrootpw secret\n$/);
  t.is((await rackboot('image', 'verify', 'ks', '--bytes-only', '--iso', at('ks.iso'))).status, 0);
});

test('media that GRUB boots on BIOS too, as EL 10 and Fedora come, keeps it', async (t) => {
  await writeEl(at('grub'));
  await rm(at('grub', 'isolinux'), { recursive: true });
  await mkdir(at('grub', 'boot/grub2'), { recursive: true });
  await writeFile(at('grub', 'boot/grub2/grub.cfg'), GRUB.replaceAll('efi /', ' /'));
  const core = at('core.img');
  await counterpart(
    'grub-mkimage',
    '-O',
    'i386-pc-eltorito',
    '-p',
    '/boot/grub2',
    '-o',
    core,
    ...GRUB_MODULES,
  );
  await copyFile(core, at('grub', 'images/eltorito.img'));
  await counterpart(
    'xorriso',
    ...['-as', 'mkisofs', '-quiet', '-o', at('grub.iso'), '-R', '-J', '-V', LABEL],
    ...[
      '--grub2-mbr',
      '/usr/lib/grub/i386-pc/boot_hybrid.img',
      '-b',
      'images/eltorito.img',
      '-c',
      'boot.cat',
    ],
    ...[
      '-no-emul-boot',
      '-boot-load-size',
      '4',
      '-boot-info-table',
      '--grub2-boot-info',
      '-eltorito-alt-boot',
    ],
    ...['-e', 'images/efiboot.img', '-no-emul-boot', '-efi-boot-part', '--efi-boot-image', at('grub')],
  );
  const { status, err } = await rackboot('image', 'import', at('grub.iso'), '--name', 'el10');
  t.is(status, 0, err);
  t.notRegex(err, /only loader|UEFI only/);
  await succeed('image', 'iso', 'el10', '-o', at('el10.iso'));
  const report = (
    await counterpart(
      'xorriso',
      '-indev',
      at('el10.iso'),
      '-report_el_torito',
      'plain',
      '-report_system_area',
      'plain',
    )
  ).toString();
  t.regex(report, /El Torito img path : +1 +\/images\/eltorito\.img/);
  t.regex(report, /El Torito img opts : +1 +boot-info-table grub2-boot-info/);
  t.regex(report, /System area summary: MBR protective-msdos-label grub2-mbr cyl-align-\w+ GPT/);
  t.is(
    await textOf(at('el10.iso'), '/boot/grub2/grub.cfg'),
    await textOf(at('el10.iso'), '/EFI/BOOT/grub.cfg'),
  );
  await t.notThrowsAsync(counterpart('checkisomd5', at('el10.iso')));
  t.is((await rackboot('image', 'verify', 'el10', '--bytes-only', '--iso', at('el10.iso'))).status, 0);
});
