import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { bzip2 } from './bzip2/codec.js';
import { STREAM_MAGIC as BZIP2_MAGIC } from './bzip2/magic.js';
import { OLD_LAYOUTS } from './cpio/old-header.js';
import { DEFAULT_SIZES, type CutSizes } from './cuts.js';
import { combineCrc32 } from './gzip/crc32.js';
import { encodeEnd, GZIP_MAGIC, isFast } from './gzip/member.js';
import { ImageError } from './errors.js';

const deflateRaw = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);
const inflateRaw = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);

/** The compressions whose segments can be replaced one by one. */
export type CodecName = 'gzip' | 'bzip2' | 'none';

/** What a codec needs to know of a segment to end a stream of them. */
export interface SegmentSum {
  readonly plain: number; // bytes before compression
  readonly check: number; // CRC-32 of those bytes
  readonly blocks?: readonly number[]; // where the format sums block by block: the sum of each
}

/** A segment as it is stored. */
export interface PackedSegment {
  readonly stored: Buffer;
  readonly blocks?: readonly number[]; // as in SegmentSum
}

/**
 * A compression cut into independent segments: `prologue`, the segments' stored bytes one after another, and
 * `epilogue` make one stream that any decoder of the format reads.
 */
export interface SegmentCodec {
  readonly name: CodecName;
  /** Segments may be moved between streams whose codecs have the same. */
  readonly dialect: string;
  /** Where new segments are best cut. */
  readonly sizes: CutSizes;
  compress(plain: Buffer): Promise<PackedSegment>;
  /** The `plain` bytes of a segment. Throws ImageError BAD_CHECKSUM when it does not give `plain` bytes. */
  decompress(stored: Buffer, plain: number): Promise<Buffer>;
  epilogue(segments: readonly SegmentSum[]): Buffer;
}

/** Deflate as gzip does it at `level`. */
const gzip = (level: 1 | 6): SegmentCodec => ({
  name: 'gzip',
  dialect: `gzip -${level}`,
  sizes: DEFAULT_SIZES,
  // A full flush ends on a byte and forgets the window: what follows does not depend on it (zlib manual, Z_FULL_FLUSH).
  async compress(plain) {
    const stored = await deflateRaw(plain, {
      level,
      memLevel: 9,
      finishFlush: zlib.constants.Z_FULL_FLUSH,
      chunkSize: 1 << 20,
    });
    return { stored };
  },
  async decompress(stored, plain) {
    const bytes = await inflateRaw(stored, {
      finishFlush: zlib.constants.Z_SYNC_FLUSH,
      chunkSize: Math.max(64 * 1024, plain),
      maxOutputLength: plain + 1,
    }).catch((error: unknown) => {
      throw new ImageError(
        'BAD_CHECKSUM',
        'a stored gzip segment does not decompress; run: rackboot store verify',
        { cause: error },
      );
    });
    if (bytes.length !== plain) {
      throw new ImageError(
        'BAD_CHECKSUM',
        `a stored gzip segment gives ${bytes.length} bytes instead of ${plain}; run: rackboot store verify`,
      );
    }
    return bytes;
  },
  epilogue(segments) {
    let crc = 0;
    let size = 0;
    for (const segment of segments) {
      crc = combineCrc32(crc, segment.check, segment.plain);
      size += segment.plain;
    }
    return encodeEnd(crc, size);
  },
});

const gzip1 = gzip(1);
const gzip6 = gzip(6);

const none: SegmentCodec = {
  name: 'none',
  dialect: 'none',
  sizes: DEFAULT_SIZES,
  compress: (plain) => Promise.resolve({ stored: plain }),
  decompress: (stored) => Promise.resolve(stored),
  epilogue: () => Buffer.alloc(0),
};

/** The codec of a stream that begins with `prologue`. */
export function codecOf(frame: { readonly codec: CodecName; readonly prologue: Buffer }): SegmentCodec {
  switch (frame.codec) {
    case 'gzip':
      return isFast(frame.prologue) ? gzip1 : gzip6;
    case 'bzip2':
      return bzip2(frame.prologue);
    case 'none':
      return none;
  }
}

const MAGICS: readonly { readonly name: string; readonly magic: Buffer }[] = [
  { name: 'gzip', magic: GZIP_MAGIC },
  { name: 'cpio', magic: Buffer.from('07070') },
  { name: 'bzip2', magic: BZIP2_MAGIC },
  { name: 'xz', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) },
  { name: 'zstd', magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { name: 'lz4', magic: Buffer.from([0x02, 0x21, 0x4c, 0x18]) },
  { name: 'lz4-frame', magic: Buffer.from([0x04, 0x22, 0x4d, 0x18]) },
  { name: 'lzo', magic: Buffer.from([0x89, 0x4c, 0x5a, 0x4f, 0x00]) },
  { name: 'lzma', magic: Buffer.from([0x5d, 0x00, 0x00]) },
  { name: 'squashfs', magic: Buffer.from('hsqs') },
  { name: 'cpio', magic: OLD_LAYOUTS['binary-le'].magic },
  { name: 'cpio', magic: OLD_LAYOUTS['binary-be'].magic },
];

/** Bytes to look at to tell a format. */
export const MAGIC_LENGTH = 6;

/** The format that `start` begins with (never its file's name decides): one of MAGICS, or undefined. */
export function sniff(start: Buffer): string | undefined {
  return MAGICS.find(({ magic }) => start.subarray(0, magic.length).equals(magic))?.name;
}
