import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { item, itemBytes } from '../../image/newc.js';

export const LABEL = 'EL-9-BaseOS-x86_64';
const KERNEL = Buffer.alloc(60_000, 'kernel of el ');
const INITRD = gzipSync(
  Buffer.concat(
    [
      item({ name: 'etc', mode: 0o40755 }),
      item({ name: 'etc/motd', data: Buffer.from('Anaconda-shaped\n') }),
      item({ name: 'TRAILER!!!', mode: 0 }),
    ].map(itemBytes),
  ),
);

const SECOND_STAGE = Buffer.alloc(70_000, 'a squashfs ');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const treeinfo = (efiImage: Buffer): string => `[checksums]
images/efiboot.img = sha256:${sha256(efiImage)}
images/install.img = sha256:${sha256(SECOND_STAGE)}
images/pxeboot/initrd.img = sha256:${sha256(INITRD)}
images/pxeboot/vmlinuz = sha256:${sha256(KERNEL)}

[general]
arch = x86_64
family = EL
name = EL 9
packagedir = Packages
repository = .
version = 9

[images-x86_64]
efiboot.img = images/efiboot.img
initrd = images/pxeboot/initrd.img
kernel = images/pxeboot/vmlinuz

[stage2]
mainimage = images/install.img

[tree]
arch = x86_64
platforms = x86_64,xen
`;

const ISOLINUX = `default vesamenu.c32
timeout 600
display boot.msg
label linux
  menu label ^Install EL 9
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=${LABEL} quiet

label check
  menu label Test this ^media & install EL 9
  menu default
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=${LABEL} rd.live.check quiet

label rescue
  menu label ^Rescue an EL system
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=${LABEL} inst.rescue quiet

label local
  localboot 0xffff
`;

export const GRUB = `set default="1"
set timeout=60
search --no-floppy --set=root -l '${LABEL}'
menuentry 'Install EL 9' --class fedora {
	linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=${LABEL} quiet
	initrdefi /images/pxeboot/initrd.img
}
menuentry 'Test this media & install EL 9' --class fedora {
	linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=${LABEL} rd.live.check quiet
	initrdefi /images/pxeboot/initrd.img
}
submenu 'Troubleshooting -->' {
	menuentry 'Rescue an EL system' {
		linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=${LABEL} inst.rescue inst.text quiet
		initrdefi /images/pxeboot/initrd.img
	}
}
`;

/** Lays out what is on an Anaconda ISO, of small files, below `dir`. */
export async function writeEl(dir: string): Promise<void> {
  const files: Record<string, string | Buffer> = {
    '.discinfo': '1700000000.0\n9\nx86_64\n',
    'media.repo': '[InstallMedia]\n',
    'images/pxeboot/vmlinuz': KERNEL,
    'images/pxeboot/initrd.img': INITRD,
    'images/install.img': SECOND_STAGE,
    'isolinux/vmlinuz': KERNEL,
    'isolinux/initrd.img': INITRD,
    'isolinux/isolinux.cfg': ISOLINUX,
    'isolinux/boot.msg': 'splash.lss\n',
    'EFI/BOOT/grub.cfg': GRUB,
    'EFI/BOOT/BOOTX64.EFI': 'shim',
    'EFI/BOOT/grubx64.efi': 'GRUB',
    'Packages/a-1-1.x86_64.rpm': 'package a',
    'repodata/repomd.xml': '<repomd/>',
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), content);
  }
  await copyFile('/usr/lib/ISOLINUX/isolinux.bin', join(dir, 'isolinux/isolinux.bin'));
  await copyFile('/usr/lib/syslinux/modules/bios/ldlinux.c32', join(dir, 'isolinux/ldlinux.c32'));
  const image = join(dir, 'images/efiboot.img');
  await writeFile(join(dir, 'cfg'), GRUB);
  for (const words of [
    ['mformat', '-i', image, '-C', '-f', '2880', '::'],
    ['mmd', '-i', image, '::EFI', '::EFI/BOOT'],
    ['mcopy', '-i', image, join(dir, 'EFI/BOOT/BOOTX64.EFI'), '::EFI/BOOT/BOOTX64.EFI'],
    ['mcopy', '-i', image, join(dir, 'cfg'), '::EFI/BOOT/grub.cfg'],
  ])
    execFileSync(words[0] ?? '', words.slice(1), { stdio: 'ignore' });
  await rm(join(dir, 'cfg'));
  await writeFile(join(dir, '.treeinfo'), treeinfo(await readFile(image)));
}

/** Makes the ISO of a laid-out directory, as lorax does. */
export function makeElIso(dir: string, iso: string): void {
  execFileSync(
    'xorriso',
    [
      ...['-as', 'mkisofs', '-quiet', '-o', iso, '-R', '-J', '-V', LABEL],
      ...['-c', 'isolinux/boot.cat', '-b', 'isolinux/isolinux.bin', '-no-emul-boot', '-boot-load-size', '4'],
      ...['-boot-info-table', '-eltorito-alt-boot', '-e', 'images/efiboot.img', '-no-emul-boot'],
      ...['-isohybrid-mbr', '/usr/lib/ISOLINUX/isohdpfx.bin', '-isohybrid-gpt-basdat', dir],
    ],
    { stdio: 'ignore' },
  );
}
