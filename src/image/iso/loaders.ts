import { ImageError } from '../errors.js';
import { readPackaged, type BootFiles } from './boot-files.js';
import { makeEfiImage, readEfiFiles } from './efi-boot.js';
import {
  DISK_INFO,
  GRUB_CONFIG,
  ISOLINUX_CONFIG,
  type DebianBoot,
  type IsoEntry,
  type IsoRequest,
} from './request.js';
import { makeDiscGrub } from './disc-grub.js';

/** A file that firmware starts. */
export interface LoaderFile {
  readonly path: string; // in the image
  readonly bytes: Buffer;
}

/** What boots an image: a file for each firmware, and what these load. */
export interface IsoLoaders {
  /** `bootCode` starts it where the image is a disk; null where it cannot. */
  readonly bios: {
    readonly kind: 'isolinux' | 'grub';
    readonly image: LoaderFile;
    readonly catalog: string;
    readonly bootCode: Buffer | null;
  } | null;
  /** A FAT image, the EFI system partition. */
  readonly uefi: { readonly image: LoaderFile; readonly catalog: string } | null;
  readonly files: readonly IsoEntry[];
}

/** Bytes of an MBR that are code; what follows is written by xorriso (isohybrid: address of ISOLINUX, partitions). */
const BOOT_CODE = 432;
/** How ISOLINUX says that it can be started from a disk, and where (isolinux.asm: HybridSignature). */
const HYBRID = { offset: 64, signature: 0x7078c0fb };

/** `image` started by `bootCode` where it can be, on disks. */
export function isolinuxLoader(
  image: LoaderFile,
  catalog: string,
  bootCode: Buffer,
): NonNullable<IsoLoaders['bios']> {
  const { bytes } = image;
  const hybrid = bytes.length >= HYBRID.offset + 4 && bytes.readUInt32LE(HYBRID.offset) === HYBRID.signature;
  return { kind: 'isolinux', image, catalog, bootCode: hybrid ? bootCode.subarray(0, BOOT_CODE) : null };
}

/** Debian's ISOLINUX; its shim and GRUB, signed for Secure Boot, or a GRUB that loads Xen. Throws ImageError: no menu for them, a missing package. */
export async function debianLoaders(
  { entries, volumeId, date }: Omit<IsoRequest, 'boot'>,
  firmware: DebianBoot,
  bootFiles: BootFiles,
  tempDir: string,
): Promise<IsoLoaders> {
  const has = (path: string): boolean => entries.some((entry) => entry.path === path);
  const require = (path: string, firmware: string): void => {
    if (has(path)) return;
    throw new ImageError(
      'BAD_ISO_REQUEST',
      `An image that boots on ${firmware} needs ${path}. Add it to the entries.`,
    );
  };
  const files: IsoEntry[] = [];
  const add = (path: string, bytes: Buffer): void => {
    files.push({ path, content: { kind: 'bytes', bytes } });
  };
  let bios: IsoLoaders['bios'] = null;
  if (firmware.bios) {
    require(ISOLINUX_CONFIG, 'BIOS');
    const image = { path: 'isolinux/isolinux.bin', bytes: await readPackaged(bootFiles.isolinux) };
    bios = isolinuxLoader(image, 'isolinux/boot.cat', await readPackaged(bootFiles.isolinuxMbr));
    for (const module of bootFiles.isolinuxModules) {
      add(`isolinux/${module.path.slice(module.path.lastIndexOf('/') + 1)}`, await readPackaged(module));
    }
  }
  let uefi: IsoLoaders['uefi'] = null;
  if (firmware.uefi) {
    require(GRUB_CONFIG, 'UEFI');
    const { xenMark } = firmware;
    const efiFiles =
      xenMark === undefined
        ? await readEfiFiles(bootFiles)
        : [{ path: 'EFI/BOOT/BOOTX64.EFI', bytes: await makeDiscGrub(xenMark, tempDir) }];
    const image = { path: 'boot/efiboot.img', bytes: await makeEfiImage(efiFiles, date, tempDir) };
    uefi = { image, catalog: 'boot/boot.cat' };
    // Also for those who copy the files to a FAT stick instead of writing the image.
    for (const { path, bytes } of efiFiles) add(path, bytes);
    if (!has(DISK_INFO)) add(DISK_INFO, Buffer.from(`${volumeId}\n`));
  }
  return { bios, uefi, files };
}
