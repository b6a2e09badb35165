import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ImageError, ImageErrorCode } from '../../../src/image/errors.js';
import { authorIso, type AuthoredIso } from '../../../src/image/iso/author.js';
import { DEBIAN_BOOT_FILES } from '../../../src/image/iso/boot-files.js';
import { extractIso } from '../../../src/image/iso/extract.js';
import {
  GRUB_CONFIG,
  ISOLINUX_CONFIG,
  type IsoEntry,
  type IsoRequest,
} from '../../../src/image/iso/request.js';
import { writeWeights } from '../../../src/image/iso/staging.js';
import { xorrisoArguments } from '../../../src/image/iso/xorriso.js';
import { counterpart, openImageFile, readAll, tempDir } from './counterparts.js';
import { MappedBlobs } from './mapped-blobs.js';

const date = new Date('2024-02-29T12:34:56Z');

function noise(seed: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < length; at += 32) blocks.push(createHash('sha256').update(`${seed} ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

async function sampleEntries(blobs: MappedBlobs): Promise<IsoEntry[]> {
  const big = noise('big', 300_000);
  const stored = await blobs.map(big);
  return [
    { path: ISOLINUX_CONFIG, content: { kind: 'bytes', bytes: Buffer.from('DEFAULT none\n') } },
    { path: GRUB_CONFIG, content: { kind: 'bytes', bytes: Buffer.from('set timeout=1\n') } },
    { path: 'install/vmlinuz', content: { kind: 'map', map: await blobs.map(noise('kernel', 70_001)) } },
    { path: 'install/initrd.gz', content: { kind: 'map', map: stored } },
    { path: 'install/the same bytes again.gz', content: { kind: 'map', map: stored } },
    {
      path: 'install/pieces.img',
      content: {
        kind: 'map',
        map: {
          size: 100_010,
          parts: [
            {
              kind: 'blob',
              blob: (await blobs.map(big)).parts.map((part) =>
                part.kind === 'blob' ? part.blob : undefined,
              )[0]!,
              offset: 17,
              length: 60_000,
            },
            { kind: 'zero', length: 40_000 },
            { kind: 'inline', bytes: Buffer.from('0123456789') },
          ],
        },
      },
    },
    { path: 'pool/empty', content: { kind: 'bytes', bytes: Buffer.alloc(0) } },
    { path: 'pool/run.sh', mode: 0o755, content: { kind: 'bytes', bytes: Buffer.from('#!/bin/sh\n') } },
    { path: 'pool/noise', content: { kind: 'bytes', bytes: noise('inline', 50_000) } },
    { path: `pool/${'long-name-'.repeat(9)}.deb`, content: { kind: 'bytes', bytes: Buffer.from('long') } },
    { path: 'a/b/c/d/e/f/g/h/i/j/deep', content: { kind: 'bytes', bytes: Buffer.from('deep') } },
    { path: 'Größe/ünï', content: { kind: 'bytes', bytes: Buffer.from('unicode') } },
  ];
}

async function sampleRequest(blobs: MappedBlobs, boot = { bios: true, uefi: true }): Promise<IsoRequest> {
  return { volumeId: 'Rackboot 12.5 test', entries: await sampleEntries(blobs), boot, date };
}

async function written(
  t: ExecutionContext,
  boot?: { bios: boolean; uefi: boolean },
): Promise<{ path: string; iso: AuthoredIso; blobs: MappedBlobs; request: IsoRequest; dir: string }> {
  const dir = await tempDir(t);
  const blobs = new MappedBlobs();
  const request = await sampleRequest(blobs, boot);
  const iso = await authorIso(request, { writer: blobs });
  const path = join(dir, 'our.iso');
  await blobs.writeFile(iso.map, path);
  return { path, iso, blobs, request, dir };
}

function expectedBytes(blobs: MappedBlobs, entry: IsoEntry): Buffer {
  if (entry.content.kind === 'bytes') return entry.content.bytes;
  return blobs.read(entry.content.map, 0, entry.content.map.size);
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

test('every program reads every byte of an image we wrote', async (t) => {
  const { path, blobs, request, dir } = await written(t);
  const listings = {
    isoinfo: (await counterpart('isoinfo', '-R', '-f', '-i', path)).toString(),
    bsdtar: (await counterpart('bsdtar', '-tf', path)).toString(),
    '7z': (await counterpart('7z', 'l', '-ba', path)).toString(),
    xorriso: (await counterpart('xorriso', '-indev', path, '-find', '/')).toString(),
  };
  const bsdtarDir = join(dir, 'bsdtar');
  const sevenDir = join(dir, '7z');
  const xorrisoDir = join(dir, 'xorriso');
  await mkdir(bsdtarDir);
  await counterpart('bsdtar', '-xf', path, '-C', bsdtarDir);
  await counterpart('7z', 'x', '-y', `-o${sevenDir}`, path);
  await counterpart('xorriso', '-osirrox', 'on', '-indev', path, '-extract', '/', xorrisoDir);
  const ours = await openImageFile(t, path);
  for (const entry of request.entries) {
    const expected = expectedBytes(blobs, entry);
    for (const [program, listing] of Object.entries(listings)) {
      t.true(listing.includes(entry.path), `${program} lists ${entry.path}`);
    }
    t.true(expected.equals(await readFile(join(bsdtarDir, entry.path))), `bsdtar ${entry.path}`);
    t.true(expected.equals(await readFile(join(xorrisoDir, entry.path))), `xorriso ${entry.path}`);
    t.true(expected.equals(await readFile(join(sevenDir, entry.path))), `7z ${entry.path}`);
    t.true(
      expected.equals(await counterpart('isoinfo', '-R', '-i', path, '-x', `/${entry.path}`)),
      `isoinfo ${entry.path}`,
    );
    const node = ours.nodes.find((candidate) => candidate.path === entry.path)!;
    t.true(expected.equals(await readAll(ours, node)), `our reader ${entry.path}`);
    t.is((node.mode ?? 0) & 0o777, entry.mode ?? 0o644);
    t.deepEqual([node.uid, node.gid, node.mtime], [0, 0, date.getTime() / 1000]);
  }
});

test('firmware finds what it boots: El Torito, isohybrid MBR and GPT, as xorriso and isoinfo see them', async (t) => {
  const { path, dir } = await written(t);
  const report = (
    await counterpart('xorriso', '-indev', path, '-report_el_torito', 'plain', '-report_system_area', 'plain')
  ).toString();
  t.regex(report, /El Torito boot img : +1 +BIOS +y +none +0x0000 +0x00 +4 /);
  t.regex(report, /El Torito boot img : +2 +UEFI +y +none /);
  t.regex(report, /El Torito img path : +1 +\/isolinux\/isolinux\.bin/);
  t.regex(report, /El Torito img path : +2 +\/boot\/efiboot\.img/);
  t.regex(report, /El Torito img opts : +1 +boot-info-table isohybrid-suitable/);
  t.regex(report, /System area summary: MBR isohybrid cyl-align-\w+ GPT\n/);
  t.regex(report, /MBR partition +: +2 +0x00 +0xef /);
  t.notRegex(report, /GPT CRC should be|backup.*(?:wrong|damaged|not found)/i);
  const volume = (await counterpart('isoinfo', '-d', '-i', path)).toString();
  t.regex(volume, /Volume id: Rackboot 12\.5 test/);
  t.regex(volume, /Joliet with UCS level 3 found/);
  t.regex(volume, /Rock Ridge signatures version 1 found/);
  const image = await openImageFile(t, path);
  t.deepEqual(
    image.boot.map(({ platform, bootable, emulation }) => [platform, bootable, emulation]),
    [
      ['bios', true, 'none'],
      ['uefi', true, 'none'],
    ],
  );
  t.is(image.systemArea.mbr?.bootCode, true);
  const efi = image.nodes.find((node) => node.path === 'boot/efiboot.img')!;
  t.is(image.boot[1]!.sector * 2048, efi.extents[0]!.offset);
  t.is(image.systemArea.gpt?.partitions[1]?.firstSector, efi.extents[0]!.offset / 512);

  const fat = join(dir, 'efiboot.img');
  await writeFile(fat, await readAll(image, efi));
  for (const [name, file] of [
    ['BOOTX64.EFI', DEBIAN_BOOT_FILES.shim],
    ['grubx64.efi', DEBIAN_BOOT_FILES.grub],
    ['mmx64.efi', DEBIAN_BOOT_FILES.mokManager],
  ] as const) {
    const installed = await readFile(file.path);
    t.true(installed.equals(await counterpart('mcopy', '-i', fat, `::/EFI/BOOT/${name}`, '-')), name);
    t.true(
      installed.equals(
        await readAll(
          image,
          image.nodes.find((node) => node.path === `EFI/BOOT/${name}`)!,
        ),
      ),
      name,
    );
  }
});

for (const boot of [
  { bios: true, uefi: true },
  { bios: true, uefi: false },
  { bios: false, uefi: true },
  { bios: false, uefi: false },
]) {
  test(`the map is what xorriso writes from real files: ${JSON.stringify(boot)}`, async (t) => {
    const { path, dir, iso, request } = await written(t, boot);
    const tree = join(dir, 'tree');
    const image = await openImageFile(t, path);
    await extractIso(image, tree);
    const catalogs = { bios: 'isolinux/boot.cat', uefi: 'boot/boot.cat' };
    await Promise.all(Object.values(catalogs).map((catalog) => rm(join(tree, catalog), { force: true })));
    if (boot.bios) await copyFile(DEBIAN_BOOT_FILES.isolinux.path, join(tree, 'isolinux/isolinux.bin'));
    const order = [
      ...(boot.bios ? ['isolinux/isolinux.bin'] : boot.uefi ? ['boot/efiboot.img'] : []),
      ...iso.facts.files.map((file) => file.path),
    ];
    const weights = join(dir, 'weights');
    await writeWeights(
      weights,
      order.map((file) => ({ path: file, size: 0, mode: 0 })),
    );
    const gptGuid = (await readFile(path)).toString('hex', 512 + 56, 512 + 72);
    const args = xorrisoArguments({
      directory: tree,
      weights,
      volumeId: request.volumeId,
      date,
      diskGuid: boot.uefi ? gptGuid : '0'.repeat(32),
      bios: boot.bios
        ? {
            kind: 'isolinux',
            bootImage: 'isolinux/isolinux.bin',
            catalog: catalogs.bios,
            mbr: DEBIAN_BOOT_FILES.isolinuxMbr.path,
          }
        : null,
      uefi: boot.uefi ? { bootImage: 'boot/efiboot.img', catalog: catalogs.uefi } : null,
    });
    const whole = join(dir, 'whole.iso');
    await counterpart(
      'env',
      'SOURCE_DATE_EPOCH=1709210096',
      'xorriso',
      ...args.map((arg) => (arg === 'stdio:/dev/fd/3' ? whole : arg)),
    );
    t.is((await stat(whole)).size, iso.sizeBytes);
    t.is(await fileDigest(whole), await fileDigest(path));
  });
}

test('the same request gives the same bytes, in whatever order and place', async (t) => {
  const first = await written(t);
  const blobs = new MappedBlobs();
  const { entries, ...rest } = await sampleRequest(blobs);
  const again = await authorIso(
    { ...rest, entries: entries.toReversed() },
    { writer: blobs, tempDir: first.dir },
  );
  const path = join(first.dir, 'again.iso');
  await blobs.writeFile(again.map, path);
  t.is(await fileDigest(path), await fileDigest(first.path));
  t.deepEqual(again.map, first.iso.map);
});

test('files of gibibytes are neither copied nor read, and take no space', async (t) => {
  const dir = await tempDir(t);
  const blobs = new MappedBlobs();
  const sizes = { 'big/three': 3 * 2 ** 30, 'big/five': 5 * 2 ** 30 + 12_345 };
  const marker = Buffer.from('the last bytes');
  const entries: IsoEntry[] = [
    ...(await sampleEntries(blobs)),
    ...Object.entries(sizes).map(([path, size]): IsoEntry => ({
      path,
      content: {
        kind: 'map',
        map: {
          size,
          parts: [
            { kind: 'zero', length: size - marker.length },
            { kind: 'inline', bytes: marker },
          ],
        },
      },
    })),
  ];
  const iso = await authorIso(
    { volumeId: 'BIG', entries, boot: { bios: true, uefi: true }, date },
    { writer: blobs, tempDir: dir },
  );
  const stored = [...blobs.held.values()].reduce((sum, blob) => sum + blob.length, 0);
  t.true(stored < 16 * 2 ** 20, `${stored} bytes stored`);
  t.deepEqual(await readdir(dir), []);
  const path = join(dir, 'big.iso');
  await blobs.writeFile(iso.map, path);
  t.true((await stat(path)).blocks * 512 < 32 * 2 ** 20);
  const lbas = (
    await counterpart('xorriso', '-indev', path, '-find', '/big', '-exec', 'report_lba')
  ).toString();
  const image = await openImageFile(t, path);
  for (const [name, size] of Object.entries(sizes)) {
    const node = image.nodes.find((candidate) => candidate.path === name)!;
    t.is(node.size, size);
    t.deepEqual(node.extents, [{ offset: node.extents[0]!.offset, length: size }]);
    t.regex(lbas, new RegExp(`File data lba: +0 , +${node.extents[0]!.offset / 2048} , .* '/${name}'`));
    const end = node.extents[0]!.offset + size;
    t.deepEqual(blobs.read(iso.map, end - marker.length, end), marker);
  }
  t.regex(lbas, /File data lba: +1 , .* '\/big\/five'/);
});

const failures: readonly {
  readonly name: string;
  readonly change: (request: IsoRequest) => IsoRequest;
  readonly code: ImageErrorCode;
  readonly message: RegExp;
}[] = [
  {
    name: 'an empty volume id',
    change: (r) => ({ ...r, volumeId: '' }),
    code: 'BAD_VOLUME_ID',
    message: /1 to 32 of A-Z/,
  },
  {
    name: 'a volume id of 33 characters',
    change: (r) => ({ ...r, volumeId: 'x'.repeat(33) }),
    code: 'BAD_VOLUME_ID',
    message: /1 to 32/,
  },
  {
    name: 'a slash in the volume id',
    change: (r) => ({ ...r, volumeId: 'a/b' }),
    code: 'BAD_VOLUME_ID',
    message: /"a\/b"/,
  },
  { name: 'a path upwards', change: (r) => with_(r, 'a/../b'), code: 'UNSAFE_PATH', message: /"a\/\.\.\/b"/ },
  {
    name: 'an absolute path',
    change: (r) => with_(r, '/etc/passwd'),
    code: 'UNSAFE_PATH',
    message: /relative/,
  },
  {
    name: 'a line break in a path',
    change: (r) => with_(r, 'a\nb'),
    code: 'UNSAFE_PATH',
    message: /control/,
  },
  {
    name: 'a name of 256 bytes',
    change: (r) => with_(r, 'x'.repeat(256)),
    code: 'NAME_TOO_LONG',
    message: /255/,
  },
  {
    name: 'a path twice',
    change: (r) => with_(r, 'pool/empty'),
    code: 'BAD_ISO_REQUEST',
    message: /pool\/empty .*twice/,
  },
  {
    name: 'a boot file of ours',
    change: (r) => with_(r, 'isolinux/isolinux.bin'),
    code: 'BAD_ISO_REQUEST',
    message: /twice/,
  },
  {
    name: 'a file that is a directory too',
    change: (r) => with_(r, 'pool/empty/x'),
    code: 'BAD_ISO_REQUEST',
    message: /both a file/,
  },
  {
    name: 'no date',
    change: (r) => ({ ...r, date: new Date(NaN) }),
    code: 'BAD_ISO_REQUEST',
    message: /date/,
  },
  {
    name: 'no isolinux.cfg',
    change: (r) => ({ ...r, entries: r.entries.filter((entry) => entry.path !== ISOLINUX_CONFIG) }),
    code: 'BAD_ISO_REQUEST',
    message: /BIOS needs isolinux\/isolinux\.cfg/,
  },
  {
    name: 'no grub.cfg',
    change: (r) => ({ ...r, entries: r.entries.filter((entry) => entry.path !== GRUB_CONFIG) }),
    code: 'BAD_ISO_REQUEST',
    message: /UEFI needs boot\/grub\/grub\.cfg/,
  },
];

function with_(request: IsoRequest, path: string): IsoRequest {
  return {
    ...request,
    entries: [...request.entries, { path, content: { kind: 'bytes', bytes: Buffer.from('x') } }],
  };
}

for (const { name, change, code, message } of failures) {
  test(`refused: ${name}`, async (t) => {
    const dir = await tempDir(t);
    const blobs = new MappedBlobs();
    const error = await t.throwsAsync<ImageError>(
      authorIso(change(await sampleRequest(blobs)), { writer: blobs, tempDir: dir }),
    );
    t.is(error?.code, code);
    t.regex(error?.message ?? '', message);
    t.false(error?.message.includes('\n'));
    t.deepEqual(await readdir(dir), []);
  });
}

test('a missing boot file names the package to install', async (t) => {
  const blobs = new MappedBlobs();
  const bootFiles = {
    ...DEBIAN_BOOT_FILES,
    grub: { ...DEBIAN_BOOT_FILES.grub, path: '/nonexistent/gcdx64.efi.signed' },
  };
  const error = await t.throwsAsync<ImageError>(
    authorIso(await sampleRequest(blobs), { writer: blobs, bootFiles }),
  );
  t.is(error?.code, 'MISSING_TOOL');
  t.regex(error?.message ?? '', /apt-get install grub-efi-amd64-signed$/);
});
