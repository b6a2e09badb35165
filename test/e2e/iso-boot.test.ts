import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { execa } from 'execa';
import { authorIso } from '../../src/image/iso/author.js';
import { GRUB_CONFIG, ISOLINUX_CONFIG } from '../../src/image/iso/request.js';
import { MappedBlobs } from '../image/iso/mapped-blobs.js';
import { BOOT_LIMIT_MS, debianFile, KERNEL, KERNEL_PACKAGE, runMachine } from './plain-machine.js';

const BUSYBOX = '/usr/bin/busybox';
const FIRMWARE = '/usr/share/OVMF';

/** What the machine runs: say what was booted and how, then power off. */
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
efi=no; [ -d /sys/firmware/efi ] && efi=yes
secure=no; /bin/busybox dmesg | /bin/busybox grep -q 'Secure boot enabled' && secure=yes
echo "RACKBOOT-ISO-BOOTED efi=$efi secure=$secure cmdline=$(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
`;

const uefi = ['-machine', 'q35', '-m', '512'];
const cd = (image: string): string[] => [
  ...['-drive', `if=none,id=medium,media=cdrom,format=raw,readonly=on,file=${image}`],
];
const stick = (image: string): string[] => [
  ...['-drive', `if=none,id=medium,format=raw,readonly=on,file=${image}`],
  ...['-device', 'qemu-xhci', '-device', 'usb-storage,drive=medium,bootindex=1'],
];
const flash = (code: string): string[] => [
  ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${FIRMWARE}/${code}`],
  ...['-drive', 'if=pflash,unit=1,format=raw,file=vars.fd'],
];

const cases: readonly {
  readonly name: string;
  readonly machine: (image: string) => readonly string[];
  readonly vars?: string;
  readonly expected: RegExp;
}[] = [
  {
    name: 'BIOS from a CD',
    machine: (image) => [
      '-machine',
      'pc',
      '-m',
      '256',
      ...cd(image),
      '-device',
      'ide-cd,drive=medium,bootindex=1',
    ],
    expected: /efi=no secure=no cmdline=.*loader=isolinux/,
  },
  {
    name: 'BIOS from a USB disk',
    machine: (image) => ['-machine', 'pc', '-m', '256', ...stick(image)],
    expected: /efi=no secure=no cmdline=.*loader=isolinux/,
  },
  {
    name: 'UEFI from a CD',
    machine: (image) => [
      ...uefi,
      ...flash('OVMF_CODE_4M.fd'),
      ...cd(image),
      '-device',
      'ide-cd,drive=medium,bootindex=1',
    ],
    vars: 'OVMF_VARS_4M.fd',
    expected: /efi=yes secure=no cmdline=.*loader=grub/,
  },
  {
    name: 'UEFI from a USB disk',
    machine: (image) => [...uefi, ...flash('OVMF_CODE_4M.fd'), ...stick(image)],
    vars: 'OVMF_VARS_4M.fd',
    expected: /efi=yes secure=no cmdline=.*loader=grub/,
  },
  {
    name: 'UEFI with Secure Boot from a CD',
    machine: (image) => [
      ...['-machine', 'q35,smm=on', '-m', '512', '-global', 'driver=cfi.pflash01,property=secure,value=on'],
      ...[...flash('OVMF_CODE_4M.ms.fd'), ...cd(image), '-device', 'ide-cd,drive=medium,bootindex=1'],
    ],
    vars: 'OVMF_VARS_4M.ms.fd',
    expected: /efi=yes secure=yes cmdline=.*loader=grub/,
  },
];

let work = '';
let image = '';

test.before(async () => {
  work = await mkdtemp(join(tmpdir(), 'rackboot-e2e-iso-'));
  image = join(work, 'boot.iso');
  const blobs = new MappedBlobs();
  const iso = await authorIso(
    {
      volumeId: 'RACKBOOT_BOOT_TEST',
      date: new Date('2024-02-29T12:34:56Z'),
      boot: { bios: true, uefi: true },
      entries: [
        { path: ISOLINUX_CONFIG, content: { kind: 'bytes', bytes: Buffer.from(isolinuxConfig) } },
        { path: GRUB_CONFIG, content: { kind: 'bytes', bytes: Buffer.from(grubConfig) } },
        {
          path: 'install/vmlinuz',
          content: {
            kind: 'map',
            map: await blobs.map(await debianFile(KERNEL, KERNEL_PACKAGE)),
          },
        },
        { path: 'install/initrd.gz', content: { kind: 'map', map: await blobs.map(await tinyInitrd()) } },
      ],
    },
    { writer: blobs },
  );
  await blobs.writeFile(iso.map, image);
});

test.after.always(() => rm(work, { recursive: true, force: true }));

const isolinuxConfig = `SERIAL 0 115200
DEFAULT test
PROMPT 0
TIMEOUT 1
LABEL test
  KERNEL /install/vmlinuz
  INITRD /install/initrd.gz
  APPEND console=ttyS0 panic=-1 loader=isolinux
`;

const grubConfig = `set timeout=0
menuentry test {
  linux /install/vmlinuz console=ttyS0 panic=-1 loader=grub
  initrd /install/initrd.gz
}
`;

for (const { name, machine, vars, expected } of cases) {
  test.serial(`an image we wrote boots on ${name}`, async (t) => {
    t.timeout(BOOT_LIMIT_MS + 30_000);
    const directory = await mkdtemp(join(work, 'machine-'));
    if (vars !== undefined) await copyFile(join(FIRMWARE, vars), join(directory, 'vars.fd'));
    const serial = await runMachine(directory, machine(image));
    const marker = /RACKBOOT-ISO-BOOTED.*/.exec(serial)?.[0];
    t.truthy(marker, `the end of the serial log:\n${serial.slice(-3000)}`);
    t.regex(marker ?? '', expected);
  });
}

/** Debian's busybox with the libraries it needs, as a gzipped newc archive by GNU cpio. */
async function tinyInitrd(): Promise<Buffer> {
  const root = join(work, 'initrd');
  await debianFile(BUSYBOX, 'busybox');
  const { stdout: libraries } = await execa('ldd', [BUSYBOX], { reject: false });
  const needed = [...libraries.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  for (const path of [BUSYBOX, ...needed]) {
    const place = path === BUSYBOX ? join(root, 'bin', basename(path)) : join(root, path);
    await mkdir(dirname(place), { recursive: true });
    await copyFile(path, place);
  }
  for (const directory of ['proc', 'sys', 'dev']) await mkdir(join(root, directory));
  await writeFile(join(root, 'init'), INIT, { mode: 0o755 });
  const { stdout } = await execa('sh', ['-c', 'find . | cpio --quiet -o -H newc'], {
    cwd: root,
    encoding: 'buffer',
    stripFinalNewline: false,
  });
  return gzipSync(stdout);
}
