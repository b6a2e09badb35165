import { firstInstalled, type FilterProgram } from '../filter.js';
import type { WholeFormat } from './framing.js';
import { withoutTime } from './lzop-header.js';
import { filterThrough } from './filtering.js';

/** How an archive that is compressed whole is compressed again: by these programs. */
export type WholeCodec = WholeFormat | 'gzip' | 'pigz' | 'bzip2';

/** The program that reads each format; it reads one stream. */
const READERS: Readonly<Record<WholeFormat, FilterProgram>> = {
  xz: { program: 'xz', args: ['-dc', '--format=xz', '--single-stream'], package: 'xz-utils' },
  zstd: { program: 'zstd', args: ['-dcq', '--long=27', '--no-progress'], package: 'zstd' },
  lz4: { program: 'lz4', args: ['-dcq'], package: 'lz4' },
  lzo: { program: 'lzop', args: ['-dcq'], package: 'lzop' },
};

/**
 * The programs that write each, the first that is installed. The number of threads is fixed where the bytes depend on
 * it. The kernel reads xz only with CRC-32 or without a check, and lz4 only in the legacy frame.
 */
const WRITERS: Readonly<Record<WholeCodec, readonly [FilterProgram, ...FilterProgram[]]>> = {
  xz: [
    {
      program: 'xz',
      args: ['-c', '--format=xz', '-6', '--check=crc32', '--lzma2=preset=6,dict=1MiB', '--threads=4'],
      package: 'xz-utils',
    },
  ],
  zstd: [{ program: 'zstd', args: ['-cq', '-9', '-T4', '--no-progress'], package: 'zstd' }],
  lz4: [{ program: 'lz4', args: ['-lcq', '-9'], package: 'lz4' }],
  lzo: [{ program: 'lzop', args: ['-cq'], package: 'lzop' }],
  gzip: [{ program: 'gzip', args: ['-cn', '-6'], package: 'gzip' }],
  pigz: [{ program: 'pigz', args: ['-cn', '-6', '-p', '4'], package: 'pigz' }],
  bzip2: [
    { program: 'lbzip2', args: ['-cz', '-9', '-n', '4'], package: 'lbzip2' },
    { program: 'bzip2', args: ['-cz', '-9'], package: 'bzip2' },
  ],
};

/** The program that reads `format`. */
export function readerOf(format: WholeFormat): FilterProgram {
  return READERS[format];
}

/** `plain` as one stream of `codec`; the same bytes give the same stream. Throws ImageError MISSING_TOOL, TOOL_FAILED. */
export async function* compressWhole(
  codec: WholeCodec,
  plain: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const stream = filterThrough(await firstInstalled(...WRITERS[codec]), plain);
  yield* codec === 'lzo' ? withoutTime(stream) : stream;
}
