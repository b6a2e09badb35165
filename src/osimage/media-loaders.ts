import { collect } from '../image/chunks.js';
import { DEBIAN_BOOT_FILES, readPackaged } from '../image/iso/boot-files.js';
import { withGrubMenus } from '../image/iso/efi-boot.js';
import { isolinuxLoader, type IsoLoaders } from '../image/iso/loaders.js';
import { scratchRoot } from '../image/iso/staging.js';
import { readBlob, readRange } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import { artifactMap } from './manifest.js';
import type { Artifact, MediaDisc } from './types.js';

/**
 * The loaders that media brought, for an ISO whose GRUB menu is `grubMenu`: it stands in the FAT image too, wherever one
 * did. Throws ImageError: a missing tool or package.
 */
export async function mediaLoaders(
  blobs: BlobReader,
  { bios, uefi, catalog }: MediaDisc,
  grubMenu: string,
  date: Date,
): Promise<IsoLoaders> {
  const bytesOf = async (artifact: Artifact): Promise<Buffer> => {
    const map = await artifactMap(blobs, artifact);
    return collect(readRange(map, blobs, 0, map.size));
  };
  return {
    bios: bios === undefined ? null : await biosLoader(bios, catalog, await bytesOf(bios.image), blobs),
    uefi:
      uefi === undefined
        ? null
        : {
            image: {
              path: uefi.image.path,
              bytes: await withGrubMenus(await bytesOf(uefi.image), grubMenu, date, await scratchRoot()),
            },
            catalog,
          },
    files: [],
  };
}

/** Without the media's own boot code, Debian's starts ISOLINUX; GRUB's has to fit its version, and is left out. */
async function biosLoader(
  { image, bootCode, isGrub }: NonNullable<MediaDisc['bios']>,
  catalog: string,
  bytes: Buffer,
  blobs: BlobReader,
): Promise<NonNullable<IsoLoaders['bios']>> {
  const own = bootCode === undefined ? undefined : await readBlob(blobs, bootCode);
  const file = { path: image.path, bytes };
  if (isGrub === true) return { kind: 'grub', image: file, catalog, bootCode: own ?? null };
  return isolinuxLoader(file, catalog, own ?? (await readPackaged(DEBIAN_BOOT_FILES.isolinuxMbr)));
}
