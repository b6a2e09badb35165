import { FrameReader } from '../image/archive-index.js';
import { decodeIndex, type ArchiveDescriptor, type Frame } from '../image/archive.js';
import { collect } from '../image/chunks.js';
import { codecOf } from '../image/codec.js';
import { encodeTrailer } from '../image/cpio/header.js';
import { FAST_HEADER } from '../image/gzip/member.js';
import { SegmentWriter, zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { encodeSuperblock, type MadeCompressor } from '../image/squashfs/superblock.js';
import type { WholeCodec } from '../image/whole/codecs.js';
import { readBlob } from '../store/extents.js';
import type { BlobReader, BlobWriter } from '../store/types.js';
import { OsimageError } from './errors.js';

/** What holds the files of an archive: packimage's `--method`. */
export type PackMethod = 'cpio' | 'tar' | 'squashfs';
export const PACK_METHODS: readonly PackMethod[] = ['cpio', 'tar', 'squashfs'];

/** How an archive file is made, as far as its name says so. */
export interface ArchiveForm {
  readonly method: PackMethod;
  readonly compression: string; // gzip, xz, bzip2 … or none
}

/** The form of an archive file; of one made of several archives, that of the last. */
export function formOf({ frames }: ArchiveDescriptor): ArchiveForm {
  const frame = frames.at(-1);
  const codec = frame?.whole?.codec ?? frame?.codec ?? 'none';
  if (codec === 'squashfs') return { method: 'squashfs', compression: 'none' };
  return {
    method: frame?.format === 'tar' ? 'tar' : 'cpio',
    compression: codec === 'pigz' ? 'gzip' : codec,
  };
}

/**
 * The name under which xCAT's dracut module takes a root image of `form` (its script xcatroot). Throws OsimageError
 * BAD_SETTING for one that it does not unpack.
 */
export function rootImageName({ method, compression }: ArchiveForm): string {
  if (method === 'squashfs') return 'rootimg.sfs';
  const ending = { gzip: 'gz', xz: 'xz' }[compression];
  if (ending !== undefined) return `rootimg.${method}.${ending}`;
  throw new OsimageError(
    'BAD_SETTING',
    `xCAT’s initrd unpacks gzip and xz, not ${compression}; pack it with --compress gzip or xz`,
  );
}

/** The header of a gzip member that is compressed as well as gzip does it: deflate, no flags, no time, made on Unix. */
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);

const TAR_END = 10240; // bytes of zeros: a tape's record

/** The compressors with which a squashfs is made, by what `--compress` says. */
const SQUASHFS: Readonly<Partial<Record<WholeCodec, MadeCompressor>>> = {
  gzip: 'gzip',
  pigz: 'gzip',
  xz: 'xz',
  zstd: 'zstd',
};

/** An empty archive file of a method, gzip's; of a squashfs, `compress` says what it compresses with. */
export async function emptyArchive(
  method: PackMethod,
  compress: WholeCodec | undefined,
  writer: BlobWriter,
): Promise<ArchiveDescriptor> {
  const served = method !== 'squashfs';
  const own = { codec: 'gzip' as const, prologue: served ? GZIP_HEADER : FAST_HEADER };
  const sink = new SegmentWriter(codecOf(own), writer, zeroCounts());
  await sink.add('tail', [method === 'cpio' ? emptyTail() : Buffer.alloc(TAR_END)], []);
  const frame: Frame = { ...own, segments: await sink.finish() };
  if (method === 'cpio') return { frames: [frame] };
  if (served) return { frames: [{ ...frame, format: 'tar' }] };
  const compressor = SQUASHFS[compress ?? 'gzip'];
  if (compressor === undefined) {
    throw new OsimageError(
      'BAD_SETTING',
      `a squashfs is compressed with gzip, xz or zstd, not ${compress ?? ''}; give one of these`,
    );
  }
  const whole = { codec: 'squashfs', streams: [], head: encodeSuperblock(compressor) } as const;
  return { frames: [{ ...frame, format: 'tar', whole }] };
}

/** A trailer, and the zeros that fill GNU cpio's block. */
function emptyTail(): Buffer {
  const tail = Buffer.alloc(512);
  encodeTrailer().copy(tail);
  return tail;
}

/** What compressing an archive again takes. */
interface SegmentTools {
  readonly blobs: BlobReader;
  readonly writer: BlobWriter;
  readonly counts: SegmentCounts;
}

/** `descriptor` with its last archive as gzip's segments, where a program compressed it whole. */
export async function inSegments(
  descriptor: ArchiveDescriptor,
  { blobs, writer, counts }: SegmentTools,
): Promise<ArchiveDescriptor> {
  const last = descriptor.frames.at(-1);
  if (last?.whole === undefined) return descriptor;
  const { whole: _whole, ...frame } = last;
  const own = { codec: 'gzip' as const, prologue: GZIP_HEADER };
  const sink = new SegmentWriter(codecOf(own), writer, counts);
  const reader = new FrameReader(last, blobs);
  let at = 0;
  for (const { kind, plain, index } of last.segments) {
    const bytes = await collect(reader.read(at, at + plain));
    const entries = index === null ? [] : decodeIndex(await readBlob(blobs, index));
    await sink.add(kind, [bytes], entries);
    at += plain;
  }
  const segments = await sink.finish();
  await writer.seal();
  return { frames: [...descriptor.frames.slice(0, -1), { ...frame, ...own, segments }] };
}
