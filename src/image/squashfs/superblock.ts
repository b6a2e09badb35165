import { ImageError } from '../errors.js';

/** What the first bytes of a squashfs say of how it was made (Linux, fs/squashfs/squashfs_fs.h: squashfs_super_block). */
export interface Superblock {
  readonly made: number; // seconds
  readonly blockSize: number; // bytes
  readonly compressor: 'gzip' | 'lzma' | 'lzo' | 'xz' | 'lz4' | 'zstd';
  readonly flags: number;
  readonly options: readonly number[]; // of the compressor, as its structure has them; none when they are its defaults
  readonly size: number; // bytes of the file system, without what pads it
}

/** Bytes that `decodeSuperblock` takes: the block itself, and the compressor's options after it. */
export const SUPERBLOCK = 96 + 2 + 8;

const COMPRESSORS = [undefined, 'gzip', 'lzma', 'lzo', 'xz', 'lz4', 'zstd'] as const;
const HAS_OPTIONS = 0x0400;

/** The superblock that `bytes` begin with. Throws ImageError TRUNCATED, BAD_HEADER, UNKNOWN_CODEC. */
export function decodeSuperblock(bytes: Buffer): Superblock {
  if (bytes.length < SUPERBLOCK) {
    throw new ImageError('TRUNCATED', `a squashfs of ${bytes.length} bytes; fetch the file again`);
  }
  const [major, minor] = [bytes.readUInt16LE(28), bytes.readUInt16LE(30)];
  const compressor = COMPRESSORS[bytes.readUInt16LE(20)];
  if (major !== 4 || minor !== 0 || compressor === undefined) {
    throw new ImageError(
      'UNKNOWN_CODEC',
      `a squashfs of version ${major}.${minor} with compressor ${bytes.readUInt16LE(20)}; make it again with mksquashfs 4`,
    );
  }
  const blockSize = bytes.readUInt32LE(12);
  if (blockSize !== 1 << bytes.readUInt16LE(22) || blockSize < 4096 || blockSize > 1 << 20) {
    throw new ImageError('BAD_HEADER', `a squashfs with blocks of ${blockSize} bytes; fetch the file again`);
  }
  const flags = bytes.readUInt16LE(24);
  return {
    made: bytes.readUInt32LE(8),
    blockSize,
    compressor,
    flags,
    options: (flags & HAS_OPTIONS) === 0 ? [] : decodeOptions(compressor, bytes.subarray(98)),
    size: Number(bytes.readBigUInt64LE(40)),
  };
}

function decodeOptions(compressor: Superblock['compressor'], bytes: Buffer): number[] {
  if (compressor === 'gzip') return [bytes.readUInt32LE(0), bytes.readUInt16LE(4), bytes.readUInt16LE(6)];
  return compressor === 'zstd' ? [bytes.readUInt32LE(0)] : [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
}

/** A compressor that squashfs images are made anew with. */
export type MadeCompressor = 'gzip' | 'xz' | 'zstd';

/** The first bytes of a squashfs as mksquashfs makes it without options: what one that is made anew is made like. */
export function encodeSuperblock(compressor: MadeCompressor): Buffer {
  const bytes = Buffer.alloc(SUPERBLOCK);
  bytes.write('hsqs', 0, 'latin1');
  bytes.writeUInt32LE(1 << 17, 12); // bytes of a block
  bytes.writeUInt16LE(COMPRESSORS.indexOf(compressor), 20);
  bytes.writeUInt16LE(17, 22);
  bytes.writeUInt16LE(MADE_FLAGS, 24);
  bytes.writeUInt16LE(4, 28);
  return bytes;
}

/** Ways of making a squashfs that tar2sqfs does not know: a bit of the flags, whether it is set, and mksquashfs's option. */
const NOT_KEPT: readonly (readonly [bit: number, set: boolean, option: string])[] = [
  [0x0001, true, '-noI'],
  [0x0002, true, '-noD'],
  [0x0010, true, '-no-fragments'],
  [0x0040, false, '-no-duplicates'],
  [0x0100, true, '-noX'],
];
const TAIL_ENDS = 0x0020;
const EXPORTABLE = 0x0080;
const NO_XATTRS = 0x0200;
/** Without duplicates, and exportable by NFS. */
const MADE_FLAGS = 0x0040 | EXPORTABLE;

/** The options of mksquashfs that a squashfs was made with and that making it again does not keep. */
export function lostOptions({ flags }: Superblock): string[] {
  return NOT_KEPT.filter(([bit, set]) => ((flags & bit) !== 0) === set).map(([, , option]) => option);
}

const STRATEGIES = ['default', 'filtered', 'huffman', 'rle', 'fixed'];
const FILTERS = ['x86', 'powerpc', 'ia64', 'arm', 'armthumb', 'sparc'];
/**
 * The options with which tar2sqfs makes a squashfs the same way. Throws ImageError UNKNOWN_CODEC for compressors that it
 * does not write as others read them (1.2.0: unsquashfs finds its lz4 corrupt, and it takes no lzo algorithm but one).
 */
export function tar2sqfsOptions({ made, blockSize, compressor, flags, options }: Superblock): string[] {
  const extra = compressorOptions(compressor, options);
  return [
    ...['--compressor', compressor, '--block-size', String(blockSize), '--defaults', `mtime=${made}`],
    ...(extra.length === 0 ? [] : ['--comp-extra', extra.join(',')]),
    ...((flags & TAIL_ENDS) === 0 ? ['--no-tail-packing'] : []),
    ...((flags & EXPORTABLE) === 0 ? [] : ['--exportable']),
    ...((flags & NO_XATTRS) === 0 ? [] : ['--no-xattr']),
  ];
}

function compressorOptions(compressor: Superblock['compressor'], options: readonly number[]): string[] {
  const [first, second = 0, third = 0] = options;
  const named = (names: readonly string[], bits: number): string[] =>
    names.filter((_name, bit) => (bits & (1 << bit)) !== 0);
  switch (compressor) {
    case 'gzip':
      return first === undefined ? [] : [`level=${first}`, `window=${second}`, ...named(STRATEGIES, third)];
    case 'xz':
      return first === undefined ? [] : [`dictsize=${first}`, ...named(FILTERS, second)];
    case 'zstd':
      return first === undefined ? [] : [`level=${first}`];
    default:
      throw new ImageError(
        'UNKNOWN_CODEC',
        `the squashfs is compressed with ${compressor}, which can be read and not made again; make it again with -comp gzip, xz or zstd and import that`,
      );
  }
}
