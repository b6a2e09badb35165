import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { grubConfig, grubConfigInImage, isolinuxConfig, isolinuxMessage } from './boot-configs.js';
import { packagedFile, runProgram } from './commands.js';
import { DONOR, DONOR_PACKAGE } from './install-image.js';

const XEN = '/boot/xen-4.17-amd64.gz';
const SYSLINUX = '/usr/lib/syslinux/modules/bios';
export const VOLUME_ID = 'TEST-PRODUCT 8.3';

/** GRUB's modules for the medium: what its configuration asks for, and the file systems it may lie on. */
const grubModules = [
  ...['part_gpt', 'part_msdos', 'iso9660', 'fat', 'normal', 'configfile', 'search', 'search_fs_file', 'echo'],
  ...['multiboot2', 'relocator', 'gzio', 'serial', 'terminal', 'test', 'efi_gop', 'all_video'],
];

/** Puts the product's boot files into `tree`, which holds install.img. `work` is scratch. */
export async function addBootFiles(tree: string, work: string): Promise<void> {
  for (const directory of ['boot/isolinux', 'boot/pxelinux', 'EFI/xenserver'])
    await mkdir(join(tree, directory), { recursive: true });
  await addFile(tree, 'boot/xen.gz', XEN, 'xen-hypervisor-4.17-amd64');
  await addFile(tree, 'boot/vmlinuz', join(DONOR, 'linux'), DONOR_PACKAGE);
  await addFile(tree, 'boot/isolinux/isolinux.bin', '/usr/lib/ISOLINUX/isolinux.bin', 'isolinux');
  await addFile(tree, 'boot/pxelinux/pxelinux.0', '/usr/lib/PXELINUX/pxelinux.0', 'pxelinux');
  for (const module of ['ldlinux.c32', 'libcom32.c32', 'mboot.c32', 'menu.c32', 'libutil.c32']) {
    for (const place of ['isolinux', 'pxelinux'])
      await addFile(tree, `boot/${place}/${module}`, join(SYSLINUX, module), 'syslinux-common');
  }
  await writeFile(join(tree, 'boot/isolinux/isolinux.cfg'), isolinuxConfig);
  await writeFile(join(tree, 'boot/isolinux/pg_main'), isolinuxMessage);
  await writeFile(join(tree, 'EFI/xenserver/grub.cfg'), grubConfig);
  const loader = join(tree, 'EFI/xenserver/grubx64.efi');
  await runProgram(
    ['grub-mkimage', '-O', 'x86_64-efi', '-p', '()/EFI/xenserver', '-o', loader, ...grubModules],
    'grub-efi-amd64-bin',
  );
  await makeEfiImage(join(tree, 'boot/efiboot.img'), loader, work);
}

/** A FAT image as XCP-ng's medium has it: EFI/BOOT/BOOTX64.EFI and a configuration of its own. */
async function makeEfiImage(image: string, loader: string, work: string): Promise<void> {
  const config = join(work, 'grub-in-image.cfg');
  await writeFile(config, grubConfigInImage);
  const steps = [
    ['mformat', '-i', image, '-N', '0', '-C', '-f', '2880', '-L', '16', '::.'],
    ['mmd', '-i', image, '::EFI', '::EFI/BOOT', '::EFI/xenserver'],
    ['mcopy', '-i', image, loader, '::EFI/BOOT/BOOTX64.EFI'],
    ['mcopy', '-i', image, config, '::EFI/xenserver/grub.cfg'],
  ];
  for (const step of steps) await runProgram(step, 'mtools');
}

/** Makes the ISO of `tree` at `iso`, laid out as create-iso's genisoimage and isohybrid lay XCP-ng's out. */
export async function makeIso(tree: string, iso: string): Promise<void> {
  await runProgram(
    [
      ...['xorriso', '-as', 'mkisofs', '-quiet', '-o', iso, '-r', '-J', '-joliet-long', '-V', VOLUME_ID],
      ...['-c', 'boot/isolinux/boot.cat', '-b', 'boot/isolinux/isolinux.bin', '-no-emul-boot'],
      ...['-boot-load-size', '4', '-boot-info-table', '-isohybrid-mbr', '/usr/lib/ISOLINUX/isohdpfx.bin'],
      ...['-eltorito-alt-boot', '-e', 'boot/efiboot.img', '-no-emul-boot', '-isohybrid-gpt-basdat', tree],
    ],
    'xorriso',
  );
}

async function addFile(tree: string, path: string, from: string, packageName: string): Promise<void> {
  await packagedFile(from, packageName);
  await copyFile(from, join(tree, path));
}
