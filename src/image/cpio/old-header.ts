import { ImageError } from '../errors.js';
import { MAX_NAME_READ } from './header.js';

/** The cpio formats before newc: octal digits (070707), and 16-bit words in either byte order (cpio(5)). */
export type OldFormat = 'odc' | 'binary-le' | 'binary-be';

/** A header of an old format. `size` may exceed what newc holds. */
export interface OldHeader {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdev: number;
  readonly mtime: number; // seconds
  readonly nameSize: number; // the terminating NUL included
  readonly size: number; // bytes
}

/** How an old format lays its entries out. */
export interface OldLayout {
  readonly title: string; // for people
  readonly headerSize: number;
  readonly align: 1 | 2; // of names and data
  readonly magic: Buffer;
}

/** The old formats by name. */
export const OLD_LAYOUTS: Readonly<Record<OldFormat, OldLayout>> = {
  odc: { title: 'portable ASCII cpio (070707)', headerSize: 76, align: 1, magic: Buffer.from('070707') },
  'binary-le': {
    title: 'old binary cpio (little-endian)',
    headerSize: 26,
    align: 2,
    magic: Buffer.from([0xc7, 0x71]),
  },
  'binary-be': {
    title: 'old binary cpio (big-endian)',
    headerSize: 26,
    align: 2,
    magic: Buffer.from([0x71, 0xc7]),
  },
};

/** The old format that `start` begins with, or undefined. */
export function oldFormatOf(start: Buffer): OldFormat | undefined {
  return (Object.keys(OLD_LAYOUTS) as OldFormat[]).find((format) => {
    const { magic } = OLD_LAYOUTS[format];
    return start.subarray(0, magic.length).equals(magic);
  });
}

/** Widths in octal digits, in order (cpio(5), "Portable ASCII Format"). */
const ODC_FIELDS = [
  ['dev', 6],
  ['ino', 6],
  ['mode', 6],
  ['uid', 6],
  ['gid', 6],
  ['nlink', 6],
  ['rdev', 6],
  ['mtime', 11],
  ['nameSize', 6],
  ['size', 11],
] as const;

/** Widths in 16-bit words; of two, the more significant comes first in either byte order (cpio(5), "Old Binary Format"). */
const BINARY_FIELDS = [
  ['dev', 1],
  ['ino', 1],
  ['mode', 1],
  ['uid', 1],
  ['gid', 1],
  ['nlink', 1],
  ['rdev', 1],
  ['mtime', 2],
  ['nameSize', 1],
  ['size', 2],
] as const;

/**
 * The header at the start of `bytes`, which hold a whole one. `offset` is its place in the archive, for the messages of
 * ImageError BAD_MAGIC and BAD_HEADER.
 */
export function decodeOldHeader(bytes: Buffer, format: OldFormat, offset: number): OldHeader {
  const { magic, title } = OLD_LAYOUTS[format];
  if (!bytes.subarray(0, magic.length).equals(magic)) {
    throw new ImageError(
      'BAD_MAGIC',
      `no ${title} header at offset ${offset}: found ${JSON.stringify(bytes.toString('latin1', 0, 6))}; the file is damaged, fetch it again`,
    );
  }
  const header = format === 'odc' ? decodeOctal(bytes, offset) : decodeWords(bytes, format === 'binary-le');
  if (header.nameSize === 0 || header.nameSize > MAX_NAME_READ) {
    throw new ImageError(
      'BAD_HEADER',
      `cpio header at offset ${offset}: a name of ${header.nameSize} bytes, where 1 to ${MAX_NAME_READ} with its NUL can be; the file is damaged, fetch it again`,
    );
  }
  return header;
}

function decodeOctal(bytes: Buffer, offset: number): OldHeader {
  let at = 6;
  const fields: Record<string, number> = {};
  for (const [name, width] of ODC_FIELDS) {
    const digits = bytes.toString('latin1', at, at + width);
    if (!/^[0-7]+$/.test(digits)) {
      throw new ImageError(
        'BAD_HEADER',
        `cpio header at offset ${offset}: field ${name} is not an octal number; the file is damaged, fetch it again`,
      );
    }
    fields[name] = Number.parseInt(digits, 8);
    at += width;
  }
  return complete(fields);
}

function decodeWords(bytes: Buffer, littleEndian: boolean): OldHeader {
  let at = 2;
  const word = (): number => {
    const value = littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
    at += 2;
    return value;
  };
  const fields: Record<string, number> = {};
  for (const [name, words] of BINARY_FIELDS) fields[name] = words === 1 ? word() : word() * 65536 + word();
  return complete(fields);
}

function complete(fields: Readonly<Record<string, number>>): OldHeader {
  const field = (name: keyof OldHeader): number => fields[name] ?? 0;
  return {
    dev: field('dev'),
    ino: field('ino'),
    mode: field('mode'),
    uid: field('uid'),
    gid: field('gid'),
    nlink: field('nlink'),
    rdev: field('rdev'),
    mtime: field('mtime'),
    nameSize: field('nameSize'),
    size: field('size'),
  };
}
