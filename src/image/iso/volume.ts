import { ImageError } from '../errors.js';
import { decodeLongDate } from './dates.js';
import { decodeRecord, type DirectoryRecord } from './directory.js';
import type { MetadataReader } from './source.js';

/** The size of the sectors that volume descriptors and El Torito addresses count in (ECMA-119 §6.1.2), bytes. */
export const SECTOR = 2048;
/** The sector of the first volume descriptor; everything before it is the system area (ECMA-119 §6.2.1). */
export const FIRST_DESCRIPTOR = 16;

const MAX_DESCRIPTORS = 64;
const EL_TORITO = 'EL TORITO SPECIFICATION';

/** One primary or supplementary volume descriptor (ECMA-119 §8.4, §8.5); texts are without their padding. */
export interface IsoVolume {
  readonly kind: 'primary' | 'joliet' | 'enhanced' | 'supplementary';
  readonly volumeId: string;
  readonly systemId: string;
  readonly volumeSetId: string;
  readonly publisherId: string;
  readonly preparerId: string;
  readonly applicationId: string;
  readonly sizeBytes: number; // volume space size, which a padded image may exceed
  readonly blockSize: number; // bytes: 512, 1024 or 2048
  readonly created: string | null; // ISO 8601 with hundredths, or null when not recorded
  readonly modified: string | null;
  readonly root: DirectoryRecord;
}

/** What the sectors from 16 onwards declare. */
export interface VolumeSet {
  readonly volumes: readonly IsoVolume[]; // the primary one first; none where there is only UDF
  readonly bootCatalog: number | null; // sector of the El Torito boot catalog
  readonly udf: boolean; // a UDF file system lies beside ISO 9660 (ECMA-167 3/9.1)
}

/** Reads the volume descriptors. Throws BAD_MAGIC when there is neither an ISO 9660 volume nor a mark of UDF. */
export async function readVolumes(reader: MetadataReader): Promise<VolumeSet> {
  const volumes: IsoVolume[] = [];
  let bootCatalog: number | null = null;
  let terminated = false;
  let udf = false;
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const offset = (FIRST_DESCRIPTOR + index) * SECTOR;
    if ((terminated || index === 0) && offset + SECTOR > reader.size) break;
    const sector = await reader.read(`Volume descriptor ${index}`, offset, SECTOR);
    const identifier = sector.toString('latin1', 1, 6);
    if (identifier === 'NSR02' || identifier === 'NSR03') udf = true;
    if (terminated || identifier !== 'CD001') {
      if (isRecognition(identifier)) continue;
      break;
    }
    const type = sector.readUInt8(0);
    if (type === 255) terminated = true;
    if (type === 0 && sector.toString('latin1', 7, 7 + EL_TORITO.length) === EL_TORITO) {
      bootCatalog ??= sector.readUInt32LE(71);
    }
    if (type === 1 || type === 2) volumes.push(decodeVolume(sector, type));
  }
  udf ||= await hasLargeBlocks(reader);
  const primary = volumes.find((volume) => volume.kind === 'primary');
  if (primary === undefined) {
    if (udf) return { volumes: [], bootCatalog: null, udf };
    throw new ImageError(
      'BAD_MAGIC',
      'No ISO 9660 volume descriptor at byte 32768: this is not an ISO image, or only the beginning of one. Check the file.',
    );
  }
  return { volumes: [primary, ...volumes.filter((volume) => volume !== primary)], bootCatalog, udf };
}

/** Whether UDF's mark stands where volumes with blocks of 4 KiB have it: the structures before it take a block each. */
async function hasLargeBlocks(reader: MetadataReader): Promise<boolean> {
  const [first, second] = [FIRST_DESCRIPTOR * SECTOR, (FIRST_DESCRIPTOR + 2) * SECTOR];
  if (second + SECTOR > reader.size) return false;
  const marks = [first, second].map((offset) => reader.read('A volume structure descriptor', offset, 6));
  const [begin, mark] = (await Promise.all(marks)).map((bytes) => bytes.toString('latin1', 1, 6));
  return begin === 'BEA01' && (mark === 'NSR02' || mark === 'NSR03');
}

/** Whether `identifier` is one of the volume structures of ECMA-167 2/9.1 that may stand between the others. */
function isRecognition(identifier: string): boolean {
  return ['BEA01', 'NSR02', 'NSR03', 'TEA01', 'BOOT2', 'CD001', 'CDW02'].includes(identifier);
}

function decodeVolume(sector: Buffer, type: 1 | 2): IsoVolume {
  const kind = kindOf(sector, type);
  const text = (start: number, end: number): string => {
    const bytes = sector.subarray(start, end);
    const decoded = kind === 'joliet' ? decodeUcs2(bytes) : bytes.toString('latin1');
    return decoded.replace(/[ \0]+$/, '');
  };
  const blockSize = sector.readUInt16LE(128);
  if (![512, 1024, 2048].includes(blockSize)) {
    throw new ImageError(
      'BAD_ISO',
      `The ${kind} volume has blocks of ${blockSize} bytes; ISO 9660 allows 512, 1024 and 2048. The image is damaged.`,
    );
  }
  const root = decodeRecord(sector, 156, 156 + 34);
  if (root?.directory !== true) {
    throw new ImageError(
      'BAD_ISO',
      `The ${kind} volume's root is not a directory. The image is damaged; copy it again.`,
    );
  }
  return {
    kind,
    volumeId: text(40, 72),
    systemId: text(8, 40),
    volumeSetId: text(190, 318),
    publisherId: text(318, 446),
    preparerId: text(446, 574),
    applicationId: text(574, 702),
    sizeBytes: sector.readUInt32LE(80) * blockSize,
    blockSize,
    created: decodeLongDate(sector.subarray(813, 830)),
    modified: decodeLongDate(sector.subarray(830, 847)),
    root,
  };
}

/** Joliet is told by its escape sequences, %/@ %/C %/E for UCS-2 levels 1 to 3; ISO 9660:1999 by version 2. */
function kindOf(sector: Buffer, type: 1 | 2): IsoVolume['kind'] {
  if (type === 1) return 'primary';
  if (/^%\/[@CE]/.test(sector.toString('latin1', 88, 120))) return 'joliet';
  return sector.readUInt8(6) === 2 ? 'enhanced' : 'supplementary';
}

/** Big-endian UCS-2 as Joliet records it; a last odd byte is dropped. */
export function decodeUcs2(bytes: Buffer): string {
  const even = Buffer.from(bytes.subarray(0, bytes.length & ~1));
  return even.swap16().toString('utf16le');
}
