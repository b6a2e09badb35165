import { ImageError } from '../errors.js';
import type { SparseRun } from './sparse.js';

/** Headers and data stand in blocks of this many bytes (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const BLOCK = 512;

/** What of a tar entry its header's fields do not tell. */
export interface TarFacts {
  readonly head: number; // bytes before its data: its header block and what extends it
  readonly link?: string; // of a hard link: the name of the file it is another name of, latin-1; it has no data of its own
  readonly sparse?: readonly SparseRun[]; // of a sparse file: what of it is stored; the header tells the size of all of it
}

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

/** Where a field stands in a header block, bytes. */
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
  uname: { at: 265, length: 32 },
  gname: { at: 297, length: 32 },
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
export function decodeNumber(block: Buffer, { at, length }: Field): number | undefined {
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

/** What of a header block `encodeTarHeader` does not work out itself. */
export interface TarFields extends TarHeader {
  readonly uname: string; // latin-1
  readonly gname: string;
}

/** The longest name and link target that a header block holds; others stand in an extension before it. */
const MAX_NAME = FIELDS.name.length;
export const MAX_LINK = FIELDS.linkName.length;

/** `name` as the fields `prefix` and `name` hold it, split at a slash where it must be; undefined when they cannot. */
export function splitName(name: string): { readonly prefix: string; readonly name: string } | undefined {
  if (name.length <= MAX_NAME) return { prefix: '', name };
  const slash = name.indexOf('/', name.length - MAX_NAME - 1);
  if (slash <= 0 || slash > FIELDS.prefix.length || slash === name.length - 1) return undefined;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
}

/**
 * A ustar header block. Names that do not fit are cut off, since an extension before the block tells them; numbers that
 * do not fit are written as GNU's base-256, which every tar reads.
 */
export function encodeTarHeader(header: TarFields): Buffer {
  const block = Buffer.alloc(BLOCK);
  const { prefix, name } = splitName(header.name) ?? { prefix: '', name: header.name };
  const text = (field: Field, value: string): void => {
    block.write(value.slice(0, field.length), field.at, 'latin1');
  };
  text(FIELDS.name, name);
  text(FIELDS.prefix, prefix);
  text(FIELDS.linkName, header.linkName);
  text(FIELDS.type, header.type);
  text(FIELDS.magic, USTAR);
  text(FIELDS.uname, header.uname.slice(0, FIELDS.uname.length - 1));
  text(FIELDS.gname, header.gname.slice(0, FIELDS.gname.length - 1));
  for (const key of ['mode', 'uid', 'gid', 'size', 'mtime', 'devMajor', 'devMinor'] as const)
    writeNumber(block, FIELDS[key], header[key]);
  text(FIELDS.checksum, ' '.repeat(FIELDS.checksum.length));
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(FIELDS.checksum, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** The owner's and the group's name in the header block `block`, latin-1. */
export function ownerNames(block: Buffer): { readonly uname: string; readonly gname: string } {
  return { uname: decodeText(block, FIELDS.uname), gname: decodeText(block, FIELDS.gname) };
}

function writeNumber(block: Buffer, { at, length }: Field, value: number): void {
  const octal = value.toString(8);
  if (value >= 0 && octal.length < length) {
    block.write(octal.padStart(length - 1, '0'), at, 'latin1');
    return;
  }
  let rest = BigInt.asUintN(length * 8, BigInt(value));
  for (let i = at + length - 1; i >= at; i--, rest >>= 8n) block[i] = Number(rest & 0xffn);
  block[at] = (block[at] ?? 0) | 0x80;
}
