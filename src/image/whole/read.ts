import type { BlobWriter } from '../../store/types.js';
import type { WholeStream } from '../archive.js';
import { ArchiveFeed, type FrameTools, type ReadFrame } from '../archive-feed.js';
import type { ChunkReader } from '../chunks.js';
import { codecOf, MAGIC_LENGTH, sniff } from '../codec.js';
import { ImageError } from '../errors.js';
import { startFilter, writeTo, type Filter } from '../filter.js';
import { FAST_HEADER } from '../gzip/member.js';
import { readerOf } from './codecs.js';
import { streamBytes, WHOLE_FORMATS, type WholeFormat } from './framing.js';

/** Whether `format`, as `sniff` names it, is read whole. */
export function isWholeFormat(format: string | undefined): format is WholeFormat {
  return WHOLE_FORMATS.some((one) => one === format);
}

/**
 * Reads a stream that only a program can read. Its bytes are stored as they are, to be served; its plain bytes are
 * stored again as segments, to be looked at and edited. Throws ImageError TRUNCATED, BAD_HEADER, BAD_CHECKSUM,
 * MISSING_TOOL, and what reading the archive in it throws.
 */
export async function readWholeFrame(
  format: WholeFormat,
  reader: ChunkReader,
  tools: FrameTools,
): Promise<ReadFrame> {
  const stored = { codec: 'gzip', prologue: FAST_HEADER } as const;
  const feed = new ArchiveFeed(codecOf(stored), tools);
  const streams: WholeStream[] = [];
  let header: Buffer | undefined; // of xz
  do {
    if (format === 'xz') header ??= Buffer.from(await reader.peek(8));
    streams.push(await readStream(format, reader, feed, tools));
    // One archive in several streams: the program joins them, so do we.
  } while (feed.inside && sniff(await reader.peek(MAGIC_LENGTH)) === format);
  const frame = { ...stored, segments: await feed.finish() };
  if (header !== undefined && feed.format !== 'tar') noteXzCheck(header, tools.note);
  if (!feed.converted) return { feed, frame: { ...frame, whole: { codec: format, streams } } };
  tools.note(`the archive was compressed with ${format}; converted, it is compressed with gzip`);
  return { feed, frame };
}

/** The kernel's decoder knows CRC-32 only (linux/xz.h: XZ_CHECK_CRC32; boot.md's "xz default (crc64)" panics). */
function noteXzCheck(header: Buffer, note: FrameTools['note']): void {
  const check = (header[7] ?? 0) & 0x0f;
  if (check > 1)
    note(
      `compressed with xz and a check other than CRC-32, which the kernel does not unpack; the first change to it compresses it as the kernel needs it`,
    );
}

async function readStream(
  format: WholeFormat,
  reader: ChunkReader,
  feed: ArchiveFeed,
  { writer, growth }: FrameTools,
): Promise<WholeStream> {
  const start = reader.position;
  const filter = startFilter(readerOf(format));
  const storing = store(streamBytes(format, reader), filter, writer);
  storing.catch(() => filter.stop()); // reported below
  try {
    for await (const chunk of filter.output as AsyncIterable<Buffer>) {
      growth.add(chunk.length);
      await feed.plain(chunk);
    }
    const stream = await storing;
    await filter.succeeded();
    return stream;
  } catch (error) {
    await filter.stop();
    await storing; // what is wrong with the stream itself says more than how it ended for the program
    if (!(error instanceof ImageError) || error.code !== 'TOOL_FAILED') throw error;
    throw new ImageError(
      'BAD_CHECKSUM',
      `the ${format} stream at offset ${start} is damaged (${error.message}); fetch the file again`,
      { cause: error },
    );
  } finally {
    await filter.stop();
  }
}

/** Stores a stream while `filter` reads it. */
async function store(bytes: AsyncIterable<Buffer>, filter: Filter, writer: BlobWriter): Promise<WholeStream> {
  const shared = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      await writeTo(filter, chunk);
      yield chunk;
    }
    filter.input.end();
  };
  const { digest, size } = await writer.putStream(shared());
  return { blob: digest, size };
}
