import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bzip2 } from './bzip2.js';
import { item, itemBytes } from '../../image/newc.js';

const XEN = 'dom0_max_vcpus=1-16 dom0_mem=max:8192M';
const SERIAL = `${XEN} com1=115200,8n1 console=com1,vga`;
const LINUX = 'console=hvc0 console=tty0';

/** An entry of the installer's menus: the hypervisor's arguments, dom0's kernel and its arguments. */
const ENTRIES: readonly (readonly [label: string, xen: string, kernel: string, linux: string])[] = [
  ['install', SERIAL, '/boot/vmlinuz', LINUX],
  ['no-serial', `${XEN} console=vga`, '/boot/vmlinuz', 'console=tty0'],
  ['safe', `nosmp noreboot no-mce ${SERIAL}`, '/boot/vmlinuz', LINUX],
  ['multipath', SERIAL, '/boot/vmlinuz', `${LINUX} device_mapper_multipath=enabled`],
  ['install-alt', SERIAL, '/boot/alt/vmlinuz', `${LINUX} kernel-alt`],
  ['shell', SERIAL, '/boot/vmlinuz', `${LINUX} bash-shell`],
];

/** isolinux.cfg as XCP-ng 8.3 has it. */
export const ISOLINUX_CFG = `# location mboot.c32
serial 0 115200
default install
prompt 1
timeout 50
display pg_main
F1 pg_main
F2 pg_help

${ENTRIES.map(
  ([label, xen, kernel, linux]) => `label ${label}
  kernel mboot.c32
  append /boot/xen.gz ${xen} --- ${kernel} ${linux} --- /install.img
`,
).join('\n')}
label memtest
  kernel /boot/memtest.bin
`;

/** grub.cfg as XCP-ng 8.3 has it; `change` makes it another. */
export const GRUB_CFG = `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set default="0"
set timeout=5

${ENTRIES.map(
  ([label, xen, kernel, linux]) => `menuentry "${label}" {
    multiboot2 /boot/xen.gz ${xen}
    module2 ${kernel} ${linux}
    module2 /install.img
}
`,
).join('\n')}
menuentry "memtest" {
    chainloader /boot/memtest.efi
}
`;

/** The same as the GRUB inside efiboot.img has it. */
const EFIBOOT_CFG = GRUB_CFG.replace('set timeout=5\n', 'set timeout=5\nsearch --file --set /install.img\n');

export const TREEINFO_TEXT = `[platform]
name = XCP
version = 3.4.0

[branding]
name = XCP-ng
version = 8.3.0

[system-v1]
platform_name = XCP
platform_version = 3.4.0
product_name = XCP-ng
product_version = 8.3.0

[build]
number = cloud

[keys]
key1 = RPM-GPG-KEY-xcpng
`;

/** The installer archive: a newc archive, in one bzip2 stream. */
export function installerArchive(): Buffer {
  return bzip2(
    Buffer.concat(
      [
        item({ name: 'etc', mode: 0o40755 }),
        item({ name: 'etc/motd', data: Buffer.from('XCP-ng-shaped installer of the tests\n') }),
        item({ name: 'opt', mode: 0o40755 }),
        item({ name: 'opt/big', data: Buffer.alloc(400_000, 'some installer code; ') }),
        item({ name: 'TRAILER!!!', mode: 0 }),
      ].map(itemBytes),
    ),
  );
}

export interface MediaChange {
  readonly isolinux?: (text: string) => string;
  readonly grub?: (text: string) => string;
  /** Path and content of further files; null leaves a file out. */
  readonly files?: Readonly<Record<string, string | Buffer | null>>;
}

/** Lays out what is on an XCP-ng ISO, of small files, below `dir`. */
export async function writeXcpNg(dir: string, change: MediaChange = {}): Promise<void> {
  const grub = change.grub ?? ((text: string) => text);
  const isolinux = change.isolinux ?? ((text: string) => text);
  const files: Record<string, string | Buffer | null> = {
    '.treeinfo': TREEINFO_TEXT,
    EULA: 'the licence\n',
    LICENSES: 'the licences\n',
    'RPM-GPG-KEY-xcpng': 'a key\n',
    'install.img': installerArchive(),
    'Packages/a package+1.0-1.x86_64.rpm': Buffer.alloc(5000, 'package a'),
    'Packages/xcp-ng-deps-8.3-1.noarch.rpm': 'package b',
    'repodata/repomd.xml': '<repomd/>',
    'repodata/repomd.xml.asc': 'signature',
    'boot/xen.gz': Buffer.alloc(30_000, 'hypervisor '),
    'boot/vmlinuz': Buffer.alloc(50_000, 'kernel '),
    'boot/alt/vmlinuz': Buffer.alloc(50_001, 'other kernel '),
    'boot/memtest.bin': Buffer.alloc(10_000, 'memtest '),
    'boot/memtest.efi': Buffer.alloc(10_001, 'memtest for EFI '),
    'boot/isolinux/isolinux.cfg': isolinux(ISOLINUX_CFG),
    'boot/isolinux/pg_main': 'Welcome\n',
    'boot/isolinux/pg_help': 'Help\n',
    'boot/isolinux/splash.lss': 'a picture',
    'boot/pxelinux/pxelinux.0': 'pxelinux',
    'boot/pxelinux/mboot.c32': 'mboot of pxelinux',
    'EFI/xenserver/grub.cfg': grub(GRUB_CFG),
    'EFI/xenserver/grubx64.efi': Buffer.alloc(40_000, 'GRUB '),
    ...change.files,
  };
  for (const [path, content] of Object.entries(files)) {
    if (content === null) continue;
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), content);
  }
  await copyFile('/usr/lib/ISOLINUX/isolinux.bin', join(dir, 'boot/isolinux/isolinux.bin'));
  for (const name of ['ldlinux.c32', 'mboot.c32', 'menu.c32', 'libcom32.c32'])
    await copyFile(`/usr/lib/syslinux/modules/bios/${name}`, join(dir, 'boot/isolinux', name));
  makeEfiBoot(dir, grub(EFIBOOT_CFG));
}

/** efiboot.img: a FAT floppy of 2.88 MB, by create-iso's own commands. */
function makeEfiBoot(dir: string, config: string): void {
  execFileSync(
    'sh',
    [
      '-ec',
      `mformat -i "$1/boot/efiboot.img" -N 0 -C -f 2880 -L 16 ::.
mmd -i "$1/boot/efiboot.img" ::EFI ::EFI/BOOT ::EFI/xenserver
mcopy -i "$1/boot/efiboot.img" "$1/EFI/xenserver/grubx64.efi" ::EFI/BOOT/BOOTX64.EFI
printf %s "$2" > "$1/boot/cfg"
mcopy -i "$1/boot/efiboot.img" "$1/boot/cfg" ::EFI/xenserver/grub.cfg
rm "$1/boot/cfg"`,
      'sh',
      dir,
      config,
    ],
    {
      env: { ...process.env, SOURCE_DATE_EPOCH: '946684800', TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
}

/** Makes the ISO of a laid-out directory as the vendor does: El Torito for BIOS and UEFI, bootable as a disk too. */
export function makeXcpNgIso(dir: string, iso: string, volumeId = 'XCP-ng 8.3.0'): void {
  execFileSync(
    'xorriso',
    [
      ...['-as', 'mkisofs', '-quiet', '-o', iso, '-r', '-J', '-joliet-long', '-V', volumeId],
      ...['-c', 'boot/isolinux/boot.cat', '-b', 'boot/isolinux/isolinux.bin', '-no-emul-boot'],
      ...['-boot-load-size', '4', '-boot-info-table', '-eltorito-alt-boot', '-e', 'boot/efiboot.img'],
      ...['-no-emul-boot', '-isohybrid-mbr', '/usr/lib/ISOLINUX/isohdpfx.bin', '-isohybrid-gpt-basdat', dir],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
}
