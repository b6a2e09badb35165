import { ImageError } from '../errors.js';
import { decodeShortDate } from './dates.js';

/** One directory record (ECMA-119 §9.1). */
export interface DirectoryRecord {
  readonly name: Buffer; // as recorded; one byte 0 for `.`, one byte 1 for `..`
  readonly block: number; // logical block of the data, extended attribute record skipped
  readonly size: number; // bytes
  readonly mtime: number | null; // seconds since the epoch
  readonly directory: boolean;
  readonly associated: boolean; // a second fork, not a file of its own
  readonly continued: boolean; // more records of the same file follow
  readonly interleaved: boolean;
  readonly systemUse: Buffer; // what SUSP lives in
}

const FIXED = 33;
const FLAG_DIRECTORY = 0x02;
const FLAG_ASSOCIATED = 0x04;
const FLAG_CONTINUED = 0x80;

/**
 * The record at `offset` of `bytes`, which must end before `end`; undefined when its length is zero, which means that
 * the next record starts with the next sector. Throws BAD_ISO when its lengths contradict each other.
 */
export function decodeRecord(bytes: Buffer, offset: number, end: number): DirectoryRecord | undefined {
  const length = bytes.readUInt8(offset);
  if (length === 0) return undefined;
  const nameLength = offset + FIXED <= end ? bytes.readUInt8(offset + 32) : 0;
  if (length < FIXED + 1 || offset + length > end || nameLength === 0 || FIXED + nameLength > length) {
    throw new ImageError(
      'BAD_ISO',
      `A directory record of ${length} bytes with a name of ${nameLength} does not fit where it stands. The image is damaged; copy it again.`,
    );
  }
  const flags = bytes.readUInt8(offset + 25);
  const nameEnd = FIXED + nameLength + (nameLength % 2 === 0 ? 1 : 0);
  return {
    name: bytes.subarray(offset + FIXED, offset + FIXED + nameLength),
    block: bytes.readUInt32LE(offset + 2) + bytes.readUInt8(offset + 1),
    size: bytes.readUInt32LE(offset + 10),
    mtime: decodeShortDate(bytes.subarray(offset + 18, offset + 25)),
    directory: (flags & FLAG_DIRECTORY) !== 0,
    associated: (flags & FLAG_ASSOCIATED) !== 0,
    continued: (flags & FLAG_CONTINUED) !== 0,
    interleaved: bytes.readUInt8(offset + 26) !== 0,
    systemUse: bytes.subarray(offset + Math.min(nameEnd, length), offset + length),
  };
}

/** All records of a directory's bytes; records do not cross sectors (ECMA-119 §6.8.1.1). */
export function* decodeRecords(bytes: Buffer, sectorSize: number): Generator<DirectoryRecord> {
  for (let sector = 0; sector < bytes.length; sector += sectorSize) {
    const end = Math.min(sector + sectorSize, bytes.length);
    for (let at = sector; at < end; at += bytes.readUInt8(at)) {
      const record = decodeRecord(bytes, at, end);
      if (record === undefined) break;
      yield record;
    }
  }
}
