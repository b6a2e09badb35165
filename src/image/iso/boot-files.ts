import { readFile } from 'node:fs/promises';
import { codeOf } from '../../errors.js';
import { ImageError } from '../errors.js';

/** A file of a Debian package that an image needs to boot. */
export interface PackagedFile {
  readonly path: string;
  readonly package: string;
}

/** Every boot file taken from the system. */
export interface BootFiles {
  readonly isolinux: PackagedFile; // El Torito boot image
  readonly isolinuxMbr: PackagedFile; // starts it from a disk
  readonly isolinuxModules: readonly PackagedFile[];
  readonly shim: PackagedFile; // signed by Microsoft, starts GRUB
  readonly mokManager: PackagedFile; // what shim starts to enrol keys
  readonly grub: PackagedFile; // signed by Debian, built for CDs
}

/** Where Debian 12 keeps them. */
export const DEBIAN_BOOT_FILES: BootFiles = {
  isolinux: { path: '/usr/lib/ISOLINUX/isolinux.bin', package: 'isolinux' },
  isolinuxMbr: { path: '/usr/lib/ISOLINUX/isohdpfx.bin', package: 'isolinux' },
  isolinuxModules: ['ldlinux.c32', 'menu.c32', 'libutil.c32', 'mboot.c32', 'libcom32.c32'].map((name) => ({
    path: `/usr/lib/syslinux/modules/bios/${name}`,
    package: 'syslinux-common',
  })),
  shim: { path: '/usr/lib/shim/shimx64.efi.signed', package: 'shim-signed' },
  mokManager: { path: '/usr/lib/shim/mmx64.efi.signed', package: 'shim-helpers-amd64-signed' },
  grub: { path: '/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed', package: 'grub-efi-amd64-signed' },
};

/** The bytes of a packaged file. Throws MISSING_TOOL naming the package when it is not installed. */
export async function readPackaged(file: PackagedFile): Promise<Buffer> {
  try {
    return await readFile(file.path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new ImageError(
      'MISSING_TOOL',
      `${file.path} is missing, and a bootable image needs it. Install it: apt-get install ${file.package}`,
      { cause: error },
    );
  }
}
