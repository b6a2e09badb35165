import { ImageError } from '../errors.js';
import { SECTOR } from './volume.js';

/** One boot image of an El Torito catalog ("El Torito" 1.0 §2). */
export interface BootImage {
  readonly platform: 'bios' | 'powerpc' | 'mac' | 'uefi' | 'other';
  readonly platformId: number;
  readonly bootable: boolean;
  readonly emulation: 'none' | 'floppy' | 'hard disk' | 'other';
  readonly loadSegment: number; // 0: 7C0h
  readonly loadSectors: number; // 512-byte sectors
  readonly sector: number; // 2048-byte sector of the image
}

const ENTRY = 32;
const MAX_ENTRIES = 64;
const PLATFORMS: Readonly<Record<number, BootImage['platform']>> = {
  0: 'bios',
  1: 'powerpc',
  2: 'mac',
  0xef: 'uefi',
};

/** The boot images of the catalog in `sector`. Throws BAD_CHECKSUM or BAD_ISO when it is not a catalog. */
export function decodeBootCatalog(sector: Buffer): BootImage[] {
  checkValidation(sector.subarray(0, ENTRY));
  const defaultPlatform = sector.readUInt8(1);
  const images: BootImage[] = [];
  const initial = sector.subarray(ENTRY, 2 * ENTRY);
  if (initial.readUInt32LE(8) !== 0) images.push(decodeEntry(initial, defaultPlatform));
  let at = 2 * ENTRY;
  for (let more = true; more && at + ENTRY <= SECTOR;) {
    const header = sector.readUInt8(at);
    if (header !== 0x90 && header !== 0x91) break;
    more = header === 0x90;
    const platform = sector.readUInt8(at + 1);
    const count = sector.readUInt16LE(at + 2);
    at += ENTRY;
    for (let index = 0; index < count && at + ENTRY <= SECTOR && images.length < MAX_ENTRIES; index++) {
      images.push(decodeEntry(sector.subarray(at, at + ENTRY), platform));
      at += ENTRY;
      while (at + ENTRY <= SECTOR && sector.readUInt8(at) === 0x44) at += ENTRY; // selection criteria go on
    }
  }
  return images;
}

function checkValidation(entry: Buffer): void {
  let sum = 0;
  for (let at = 0; at < ENTRY; at += 2) sum = (sum + entry.readUInt16LE(at)) & 0xffff;
  if (entry.readUInt8(0) !== 1 || entry.readUInt16BE(30) !== 0x55aa) {
    throw new ImageError(
      'BAD_ISO',
      'The El Torito record points at a sector that is no boot catalog. The image is damaged; copy it again.',
    );
  }
  if (sum !== 0) {
    throw new ImageError(
      'BAD_CHECKSUM',
      'The checksum of the El Torito boot catalog is wrong. The image is damaged; copy it again.',
    );
  }
}

function decodeEntry(entry: Buffer, platformId: number): BootImage {
  const media = entry.readUInt8(1) & 0x0f;
  return {
    platform: PLATFORMS[platformId] ?? 'other',
    platformId,
    bootable: entry.readUInt8(0) === 0x88,
    emulation: media === 0 ? 'none' : media <= 3 ? 'floppy' : media === 4 ? 'hard disk' : 'other',
    loadSegment: entry.readUInt16LE(2),
    loadSectors: entry.readUInt16LE(6),
    sector: entry.readUInt32LE(8),
  };
}
