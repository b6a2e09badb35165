import { ImageError } from '../errors.js';

/** Headers and data stand in blocks of this many bytes (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const BLOCK = 512;

/** A header block's fields as they stand, names in latin-1; extended headers are not taken into account. */
export interface TarHeader {
  readonly name: string; // with ustar's prefix
  readonly mode: number; // permission bits
  readonly uid: number;
  readonly gid: number;
  readonly size: number; // bytes of data that follow
  readonly mtime: number; // seconds
  readonly type: string; // typeflag, one character
  readonly linkName: string;
  readonly devMajor: number;
  readonly devMinor: number;
}

interface Field {
  readonly at: number;
  readonly length: number;
}

const FIELDS = {
  name: { at: 0, length: 100 },
  mode: { at: 100, length: 8 },
  uid: { at: 108, length: 8 },
  gid: { at: 116, length: 8 },
  size: { at: 124, length: 12 },
  mtime: { at: 136, length: 12 },
  checksum: { at: 148, length: 8 },
  type: { at: 156, length: 1 },
  linkName: { at: 157, length: 100 },
  magic: { at: 257, length: 8 },
  devMajor: { at: 329, length: 8 },
  devMinor: { at: 337, length: 8 },
  prefix: { at: 345, length: 155 },
} as const satisfies Record<string, Field>;

/** Magic and version: POSIX's, which alone gives `prefix` its meaning, and GNU tar's own. */
const USTAR = 'ustar\x0000';

/** The number of bytes that bring `size` to a multiple of a block. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** Whether `bytes` begin with a tar header: its checksum holds, which no other format's start does by accident. */
export function beginsTar(bytes: Buffer): boolean {
  return bytes.length >= BLOCK && holdsChecksum(bytes);
}

/** The header in the block at `at` in `bytes`, its place in the archive being `offset`. Throws ImageError BAD_HEADER. */
export function decodeTarHeader(bytes: Buffer, at: number, offset: number): TarHeader {
  const block = bytes.subarray(at, at + BLOCK);
  if (!holdsChecksum(block)) {
    throw new ImageError(
      'BAD_HEADER',
      `no tar header at offset ${offset}: its checksum does not hold; the file is damaged, fetch it again`,
    );
  }
  const number = (name: keyof typeof FIELDS): number => {
    const value = decodeNumber(block, FIELDS[name]);
    if (value !== undefined) return value;
    throw new ImageError(
      'BAD_HEADER',
      `tar header at offset ${offset}: field ${name} is not a number; the file is damaged, fetch it again`,
    );
  };
  const prefix = block.toString('latin1', 257, 265) === USTAR ? decodeText(block, FIELDS.prefix) : '';
  const name = decodeText(block, FIELDS.name);
  const type = block.toString('latin1', 156, 157);
  const device = type === '3' || type === '4';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number('mode') & 0o7777,
    uid: number('uid'),
    gid: number('gid'),
    size: number('size'),
    mtime: number('mtime'),
    type: type === '\0' ? '0' : type,
    linkName: decodeText(block, FIELDS.linkName),
    devMajor: device ? number('devMajor') : 0,
    devMinor: device ? number('devMinor') : 0,
  };
}

/** Whether the sum of a block's bytes, its checksum taken as spaces, is what it says; old programs add signed bytes. */
function holdsChecksum(block: Buffer): boolean {
  const { at, length } = FIELDS.checksum;
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= at && i < at + length ? 0x20 : (block[i] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const said = decodeNumber(block, FIELDS.checksum);
  return said === unsigned || said === signed;
}

function decodeText(block: Buffer, { at, length }: Field): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 ? at + length : Math.min(end, at + length));
}

/** Octal, or GNU's base-256 where the first bit is set (tar(5), "Numeric Extensions"); undefined for neither. */
function decodeNumber(block: Buffer, { at, length }: Field): number | undefined {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = BigInt(first & 0x3f);
    for (let i = at + 1; i < at + length; i++) value = value * 256n + BigInt(block[i] ?? 0);
    if ((first & 0x40) !== 0) value -= 1n << BigInt(length * 8 - 2);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : undefined;
  }
  const text = block
    .toString('latin1', at, at + length)
    .replace(/\0.*$/s, '')
    .trim();
  return /^[0-7]*$/.test(text) ? Number.parseInt(text === '' ? '0' : text, 8) : undefined;
}
