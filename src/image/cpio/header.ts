import { ImageError } from '../errors.js';
import { canonicalPath, pathToText } from './path.js';

/** `c_magic`: 070701 is newc, 070702 is newc whose `check` holds the sum of the data's bytes (cpio(5), "New ASCII Format"). */
export type CpioMagic = '070701' | '070702';

/** The fields of a newc header, each an unsigned 32-bit number as the format stores it. */
export interface CpioHeader {
  readonly magic: CpioMagic;
  readonly ino: number;
  readonly mode: number; // st_mode: type and permission bits
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtime: number; // seconds; a time before 1970 is stored modulo 2^32
  readonly size: number; // c_filesize, bytes
  readonly devMajor: number;
  readonly devMinor: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly nameSize: number; // c_namesize, the terminating NUL included
  readonly check: number;
}

/** Bytes of a newc header before the name. */
export const HEADER_SIZE = 110;
/** The name of the entry that ends an archive. */
export const TRAILER_NAME = 'TRAILER!!!';
/** Longest name written, its NUL included: PATH_MAX. The kernel passes over entries with a longer one (initramfs.c: do_header). */
export const MAX_NAME_SIZE = 4096;
/** Longest name read, so that one which is too long can be named. */
export const MAX_NAME_READ = 8 * 1024;
/** Largest c_filesize: eight hexadecimal digits. */
export const MAX_FILE_SIZE = 0xffff_ffff;

const FIELDS = [
  'ino',
  'mode',
  'uid',
  'gid',
  'nlink',
  'mtime',
  'size',
  'devMajor',
  'devMinor',
  'rdevMajor',
  'rdevMinor',
  'nameSize',
  'check',
] as const;

const HEX_VALUE = new Int8Array(256).fill(-1);
for (let i = 0; i < 16; i++) {
  HEX_VALUE[i.toString(16).charCodeAt(0)] = i;
  HEX_VALUE[i.toString(16).toUpperCase().charCodeAt(0)] = i;
}

/** Latest c_mtime: 2106-02-07. */
const MAX_MTIME = 0xffff_ffff;
const MIN_MTIME = -(2 ** 31);

/** A time as newc holds it: one before 1970 modulo 2^32, the nearest that it has for others. */
export const newcTime = (seconds: number): number => Math.min(Math.max(seconds, MIN_MTIME), MAX_MTIME) >>> 0;

/** The number of zero bytes that bring `length` to a multiple of 4, as newc pads names and data. */
export function padding4(length: number): number {
  return (4 - (length % 4)) % 4;
}

/** Bytes of a header that `checkMagic` looks at. */
export const CPIO_MAGIC_SIZE = 6;

/** The magic at `at` in `bytes`, the header's place in the archive being `offset`. Throws ImageError BAD_MAGIC. */
export function checkMagic(bytes: Buffer, at: number, offset: number): CpioMagic {
  const magic = bytes.toString('latin1', at, at + CPIO_MAGIC_SIZE);
  if (magic === '070701' || magic === '070702') return magic;
  throw new ImageError(
    'BAD_MAGIC',
    `no newc cpio header at offset ${offset}: found ${JSON.stringify(magic)} where 070701 or 070702 belongs; the file is damaged or no initrd`,
  );
}

/**
 * The header at `at` in `bytes`, which must hold HEADER_SIZE bytes from there. `offset` is the header's place in the
 * archive, for the messages of ImageError BAD_MAGIC and BAD_HEADER.
 */
export function decodeHeader(bytes: Buffer, at: number, offset: number): CpioHeader {
  const magic = checkMagic(bytes, at, offset);
  const values: number[] = [];
  for (let field = 0; field < FIELDS.length; field++) {
    let value = 0;
    const start = at + 6 + field * 8;
    for (let i = start; i < start + 8; i++) {
      const digit = HEX_VALUE[bytes[i] ?? 0] ?? -1;
      if (digit < 0) {
        throw new ImageError(
          'BAD_HEADER',
          `cpio header at offset ${offset}: field ${FIELDS[field]} is not a hexadecimal number; the file is damaged, fetch it again`,
        );
      }
      value = value * 16 + digit;
    }
    values.push(value);
  }
  const [ino, mode, uid, gid, nlink, mtime, size, devMajor, devMinor, rdevMajor, rdevMinor, nameSize, check] =
    values as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
  if (nameSize === 0 || nameSize > MAX_NAME_READ) {
    throw new ImageError(
      'BAD_HEADER',
      `cpio header at offset ${offset}: a name of ${nameSize} bytes, where 1 to ${MAX_NAME_READ} with its NUL can be; the file is damaged, fetch it again`,
    );
  }
  return {
    magic,
    ino,
    mode,
    uid,
    gid,
    nlink,
    mtime,
    size,
    devMajor,
    devMinor,
    rdevMajor,
    rdevMinor,
    nameSize,
    check,
  };
}

/**
 * Header, name, NUL and padding of an entry, ready to be followed by its data. `rawName` is latin-1; `nameSize` of
 * `header` is ignored. Throws ImageError NAME_TOO_LONG or FILE_TOO_LARGE.
 */
export function encodeHeader(header: Omit<CpioHeader, 'nameSize'>, rawName: string): Buffer {
  const nameSize = rawName.length + 1;
  if (nameSize > MAX_NAME_SIZE) {
    throw new ImageError(
      'NAME_TOO_LONG',
      `${nameToText(rawName.slice(0, 60))}…: a name of ${rawName.length} bytes; the kernel unpacks at most ${MAX_NAME_SIZE - 1}: give it a shorter path`,
    );
  }
  requireFileSize(header.size, nameToText(rawName));
  const fields = { ...header, nameSize };
  const text = FIELDS.map((name) => (fields[name] >>> 0).toString(16).toUpperCase().padStart(8, '0')).join(
    '',
  );
  const encoded = Buffer.alloc(HEADER_SIZE + nameSize + padding4(HEADER_SIZE + nameSize));
  encoded.write(header.magic + text + rawName, 0, 'latin1');
  return encoded;
}

/** Throws ImageError FILE_TOO_LARGE when newc cannot hold a file of `size` bytes, which is called `name` in the message. */
export function requireFileSize(size: number, name: string): void {
  if (size <= MAX_FILE_SIZE) return;
  throw new ImageError(
    'FILE_TOO_LARGE',
    `${name}: ${size} bytes; newc holds at most ${MAX_FILE_SIZE}. Leave the file out of the archive and let the node fetch it`,
  );
}

const nameToText = (rawName: string): string => pathToText(canonicalPath(rawName));

/** The entry that ends an archive. */
export function encodeTrailer(): Buffer {
  const zero = {
    ino: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: 0,
    devMajor: 0,
    devMinor: 0,
    rdevMajor: 0,
    rdevMinor: 0,
  };
  return encodeHeader({ magic: '070701', nlink: 1, check: 0, ...zero }, TRAILER_NAME);
}

/** st_mode's type bits (inode(7)). */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;
export const S_IFSOCK = 0o140000;

export const isDirectory = (mode: number): boolean => (mode & S_IFMT) === S_IFDIR;
export const isRegular = (mode: number): boolean => (mode & S_IFMT) === S_IFREG;
export const isSymlink = (mode: number): boolean => (mode & S_IFMT) === S_IFLNK;
