import { ImageError } from '../../image/errors.js';
import { openIso, readNode, volumeIdOf, type IsoImage } from '../../image/iso/reader.js';
import type { IsoSource } from '../../image/iso/source.js';
import type { IsoNode } from '../../image/iso/tree.js';
import { SECTOR } from '../../image/iso/volume.js';
import type { Source, SourceFile } from './source.js';

/** What isohybrid and GRUB put first into an image: code of this many bytes, then where the loader lies. */
const BOOT_CODE = 432;

/** An ISO that can be read, wherever it is. */
export interface OpenDisc {
  readonly where: string; // how error messages name it
  readonly bytes: IsoSource;
  /** The bytes of a file, where there is a better way to read it than piece by piece. */
  readonly readFile?: (image: IsoImage, node: IsoNode) => AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** The files of an ISO, and how it boots. Throws ImageError naming it when it is damaged; then it is closed. */
export async function openDisc(disc: OpenDisc): Promise<Source> {
  const { where, readFile = readNode } = disc;
  try {
    const image = await openIso(disc.bytes);
    const starts = new Map<SourceFile, number | undefined>();
    for (const node of image.nodes) {
      if (node.kind !== 'file') continue;
      const file: SourceFile = {
        path: node.path,
        size: node.size,
        where: `${where}:/${node.path}`,
        read: () => readFile(image, node),
      };
      starts.set(file, node.extents[0]?.offset);
    }
    const files = [...starts.keys()];
    const bootCode = await biosBootCode(image);
    return {
      kind: 'iso',
      files,
      disc: {
        volumeId: volumeIdOf(image),
        boot: image.boot.flatMap(({ platform, sector }) => {
          const file = files.find((candidate) => starts.get(candidate) === sector * SECTOR);
          const kind = platform === 'bios' || platform === 'uefi' ? platform : 'other';
          return file === undefined ? [] : [{ platform: kind, file }];
        }),
        ...(bootCode === undefined ? {} : { bootCode }),
      },
      notes: [],
      close: () => disc.close(),
    };
  } catch (error) {
    await disc.close();
    if (error instanceof ImageError)
      throw new ImageError(error.code, `${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The code that starts the El Torito image for BIOS where the image is a disk, if that is what its MBR holds. */
async function biosBootCode({ source, boot }: IsoImage): Promise<Buffer | undefined> {
  if (source.size < BOOT_CODE + 4) return undefined;
  const area = await source.read(0, BOOT_CODE + 4);
  const starts = area.readUInt32LE(BOOT_CODE);
  // ISOLINUX is read from its first sector on, GRUB from its fifth, behind cdboot.img.
  const isIt = boot.some(
    ({ platform, sector }) => platform === 'bios' && [0, 4].includes(starts - sector * (SECTOR / 512)),
  );
  return isIt ? area.subarray(0, BOOT_CODE) : undefined;
}
