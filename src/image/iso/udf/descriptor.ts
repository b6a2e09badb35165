import { ImageError } from '../../errors.js';

/** The descriptors that are read here, by their tag identifiers (ECMA-167 3/7.2.1 and 4/7.2.1). */
export const TAG = {
  primaryVolume: 1,
  anchor: 2,
  volumePointer: 3,
  partition: 5,
  logicalVolume: 6,
  terminating: 8,
  fileSet: 256,
  fileIdentifier: 257,
  allocationExtent: 258,
  file: 261,
  extendedFile: 266,
} as const;

/** Bytes of a tag, which begins every descriptor. */
export const TAG_SIZE = 16;

/** The identifier of the tag at the beginning of `bytes`; undefined when its checksum or the descriptor's CRC is wrong. */
export function tagOf(bytes: Buffer): number | undefined {
  if (bytes.length < TAG_SIZE) return undefined;
  let sum = 0;
  for (let at = 0; at < TAG_SIZE; at++) if (at !== 4) sum = (sum + (bytes[at] ?? 0)) & 0xff;
  const length = bytes.readUInt16LE(10);
  if (sum !== bytes[4] || TAG_SIZE + length > bytes.length) return undefined;
  if (length > 0 && crcItu(bytes.subarray(TAG_SIZE, TAG_SIZE + length)) !== bytes.readUInt16LE(8))
    return undefined;
  return bytes.readUInt16LE(0);
}

/** Throws BAD_ISO unless `bytes` are a sound descriptor of one of these kinds; `what` names it. Gives back its kind. */
export function requireTag<Kind extends number>(bytes: Buffer, kinds: readonly Kind[], what: string): Kind {
  const found = tagOf(bytes);
  const kind = kinds.find((candidate) => candidate === found);
  if (kind !== undefined) return kind;
  throw damaged(`${what} is not where it should be, or its checksum is wrong`);
}

/** The CRC of ECMA-167 3/7.2.6: polynomial x¹⁶+x¹²+x⁵+1, beginning with zero. */
function crcItu(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc;
}

/** Text in a field whose last byte is its length (OSTA UDF 2.1.3). */
export function decodeDstring(field: Buffer): string {
  const length = field.at(-1) ?? 0;
  return decodeCompressed(field.subarray(0, Math.min(length, field.length - 1)));
}

/** OSTA compressed Unicode (UDF 2.1.1): a byte that says how wide characters are, then these. */
export function decodeCompressed(bytes: Buffer): string {
  const text = bytes.subarray(1);
  switch (bytes[0]) {
    case 8:
    case 254: // of a deleted entry
      return text.toString('latin1');
    case 16:
    case 255:
      return Buffer.from(text.subarray(0, text.length & ~1))
        .swap16()
        .toString('utf16le');
    default:
      return bytes.length === 0 ? '' : bytes.toString('latin1');
  }
}

/** A timestamp (ECMA-167 1/7.3) in seconds since the epoch, or null when it is none. */
export function decodeTimestamp(bytes: Buffer): number | null {
  const zone = ((bytes.readUInt16LE(0) & 0x0fff) << 20) >> 20; // minutes, signed 12 bits
  const year = bytes.readInt16LE(2);
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = bytes.subarray(4, 9);
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return null;
  const offset = zone < -1440 || zone > 1440 ? 0 : zone; // -2047: not specified
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - offset * 60;
}

/** An address in a partition, and how long what lies there is. */
export interface LongAllocation {
  readonly type: number; // 0 recorded, 1 not recorded, 2 not allocated, 3 further allocation descriptors
  readonly length: number; // bytes
  readonly block: number;
  readonly partition: number; // index into the logical volume's partition maps
}

/** A long_ad (ECMA-167 4/14.14.2). */
export function decodeLong(bytes: Buffer, at: number): LongAllocation {
  const length = bytes.readUInt32LE(at);
  return {
    type: length >>> 30,
    length: length & 0x3fffffff,
    block: bytes.readUInt32LE(at + 4),
    partition: bytes.readUInt16LE(at + 8),
  };
}

/** The error for a UDF file system that contradicts itself. */
export function damaged(what: string): ImageError {
  return new ImageError('BAD_ISO', `UDF: ${what}. The image is damaged or hostile; copy it again.`);
}

/** The error for a UDF file system that is none of those read here. */
export function unsupported(what: string): ImageError {
  return new ImageError(
    'BAD_ISO',
    `UDF: ${what}, which rackboot does not read. Mount the image, or make an ISO 9660 image of its files.`,
  );
}
