import { crc32 } from 'node:zlib';

/** The sector size that a GPT on an ISO image counts in, bytes. */
export const GPT_SECTOR = 512;

const HEADER = 92;
const MAX_ENTRY_BYTES = 1024 * 1024;

/** A GPT header whose checksum is right (UEFI 2.10 §5.3.2). */
export interface GptHeader {
  readonly bytes: Buffer; // the header as it stands, without padding
  readonly ownSector: number;
  readonly otherSector: number; // where the other header lies: the last sector of the disk, for a primary one
  readonly diskGuid: string;
  readonly entriesSector: number;
  readonly entryCount: number;
  readonly entrySize: number; // bytes
  readonly entriesCrc: number;
}

/** One used GPT partition; sectors are 512 bytes, `lastSector` inclusive. */
export interface GptPartition {
  readonly type: string;
  readonly guid: string;
  readonly firstSector: number;
  readonly lastSector: number;
  readonly name: string;
}

/** The header in `sector`, or undefined when there is none or its checksum is wrong. */
export function decodeGptHeader(sector: Buffer): GptHeader | undefined {
  if (sector.toString('latin1', 0, 8) !== 'EFI PART' || sector.readUInt32LE(12) !== HEADER) return undefined;
  const bytes = Buffer.from(sector.subarray(0, HEADER));
  if (headerCrc(bytes) !== bytes.readUInt32LE(16)) return undefined;
  return {
    bytes,
    ownSector: Number(bytes.readBigUInt64LE(24)),
    otherSector: Number(bytes.readBigUInt64LE(32)),
    diskGuid: formatGuid(bytes.subarray(56, 72)),
    entriesSector: Number(bytes.readBigUInt64LE(72)),
    entryCount: bytes.readUInt32LE(80),
    entrySize: bytes.readUInt32LE(84),
    entriesCrc: bytes.readUInt32LE(88),
  };
}

/** The bytes of a header's partition array inside `area`, or undefined when it is elsewhere or damaged. */
export function partitionArray(header: GptHeader, area: Buffer): Buffer | undefined {
  const length = header.entryCount * header.entrySize;
  const start = header.entriesSector * GPT_SECTOR;
  if (header.entrySize < 128 || length > MAX_ENTRY_BYTES || start + length > area.length) return undefined;
  const array = area.subarray(start, start + length);
  return crc32(array) === header.entriesCrc ? array : undefined;
}

/** The used partitions of a header's array, or undefined when the array is not inside `area` or is damaged. */
export function decodeGptPartitions(header: GptHeader, area: Buffer): GptPartition[] | undefined {
  const array = partitionArray(header, area);
  if (array === undefined) return undefined;
  const partitions: GptPartition[] = [];
  for (let at = 0; at < array.length; at += header.entrySize) {
    const entry = array.subarray(at, at + 128);
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue;
    partitions.push({
      type: formatGuid(entry.subarray(0, 16)),
      guid: formatGuid(entry.subarray(16, 32)),
      firstSector: Number(entry.readBigUInt64LE(32)),
      lastSector: Number(entry.readBigUInt64LE(40)),
      name: entry.toString('utf16le', 56, 128).replace(/\0.*$/s, ''),
    });
  }
  return partitions;
}

/**
 * The end of a disk whose primary header is `primary`: the partition array again, in the sectors just before the
 * backup header, and the backup header in the last sector (UEFI 2.10 §5.3.1).
 */
export function backupGpt(primary: GptHeader, array: Buffer): Buffer {
  const arraySectors = Math.ceil(array.length / GPT_SECTOR);
  const header = Buffer.from(primary.bytes);
  header.writeBigUInt64LE(BigInt(primary.otherSector), 24);
  header.writeBigUInt64LE(BigInt(primary.ownSector), 32);
  header.writeBigUInt64LE(BigInt(primary.otherSector - arraySectors), 72);
  header.writeUInt32LE(headerCrc(header), 16);
  const backup = Buffer.alloc((arraySectors + 1) * GPT_SECTOR);
  array.copy(backup, 0);
  header.copy(backup, arraySectors * GPT_SECTOR);
  return backup;
}

function headerCrc(header: Buffer): number {
  const copy = Buffer.from(header);
  copy.writeUInt32LE(0, 16);
  return crc32(copy);
}

/** A GUID as text: the first three fields are little-endian (UEFI 2.10 Appendix A). */
function formatGuid(bytes: Buffer): string {
  const field = (start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).reverse().toString('hex');
  return `${field(0, 4)}-${field(4, 6)}-${field(6, 8)}-${bytes.toString('hex', 8, 10)}-${bytes.toString('hex', 10, 16)}`;
}
