import type { BlobWriter } from '../store/types.js';
import type { ArchiveDescriptor, Frame } from './archive.js';
import type { ArchiveCuts, StreamCuts } from './archive-cuts.js';
import { ArchiveFeed, leadingZeros, type FrameTools, type ReadFrame } from './archive-feed.js';
import { readBzip2Frames } from './bzip2/read.js';
import { ChunkReader } from './chunks.js';
import { codecOf, MAGIC_LENGTH, sniff } from './codec.js';
import { padding4 } from './cpio/header.js';
import { oldFormatOf } from './cpio/old-header.js';
import { ImageError } from './errors.js';
import { readCutMember } from './gzip/cut-member.js';
import { inflateMember, takeHeader } from './gzip/member.js';
import { beginsTar, BLOCK } from './tar/header.js';
import { readSquashfsFrame } from './squashfs/read.js';
import type { SegmentCounts } from './segment-writer.js';
import { DEFAULT_LIMITS, Growth, type UnpackLimits } from './unpack-limits.js';
import { isWholeFormat, readWholeFrame } from './whole/read.js';

/**
 * Reads an archive file once, as the kernel would: frame after frame, each a compressed stream or plain cpio, zeros
 * between them. Stores its bytes as segments and gives back where every entry lies. Throws ImageError (TRUNCATED,
 * BAD_MAGIC, BAD_CHECKSUM, UNKNOWN_CODEC, TOO_LARGE, MISSING_TOOL). `note` hears what does not stay as it is. Where the
 * archive is one of our own, `cuts` keep its segments.
 */
export async function readArchive(
  source: AsyncIterable<Buffer>,
  writer: BlobWriter,
  counts: SegmentCounts,
  limits: UnpackLimits = DEFAULT_LIMITS,
  note: FrameTools['note'] = () => undefined,
  cuts: ArchiveCuts = [],
): Promise<ArchiveDescriptor> {
  const reader = new ChunkReader(source);
  const tools: FrameTools = { writer, counts, growth: new Growth(reader, limits), note };
  const frames: Frame[] = [];
  let archives = 0;
  let streams = 0; // of gzip
  const add = ({ frame, feed }: ReadFrame): void => {
    const { format } = feed;
    if (archives > 0 && feed.archives > 0 && [format, frames[0]?.format].includes('tar'))
      throw mixedFormats(reader.position);
    if (frame.segments.length > 0 || frame.codec === 'none')
      frames.push(format === undefined ? frame : { ...frame, format });
    archives += feed.archives;
  };
  try {
    for (;;) {
      const start = await reader.peek(MAGIC_LENGTH);
      if (start.length === 0) break;
      const format = sniff(start);
      if (format === 'gzip') add(await readGzipFrame(reader, tools, cuts[streams++]));
      else if (format === 'bzip2') for await (const frame of readBzip2Frames(reader, tools)) add(frame);
      else if (format === 'squashfs' && reader.position === 0) add(await readSquashfsFrame(reader, tools));
      else if (isWholeFormat(format)) add(await readWholeFrame(format, reader, tools));
      else if (
        format === 'cpio' ||
        (start[0] === 0 && reader.position > 0) ||
        beginsTar(await reader.peek(BLOCK))
      ) {
        add(await readPlainFrame(reader, tools));
      } else throw unknownFormat(format, reader.position, start);
    }
  } finally {
    await reader.close();
  }
  if (archives === 0) {
    throw new ImageError('TRUNCATED', 'the archive is empty; give a cpio archive, plain or compressed');
  }
  return { frames };
}

function unknownFormat(format: string | undefined, offset: number, start: Buffer): ImageError {
  if (format === undefined) {
    const seen = JSON.stringify(start.toString('latin1'));
    return new ImageError(
      'BAD_MAGIC',
      `not an archive: ${seen} at offset ${offset} begins no cpio archive and no compressed stream; give an initrd or a tar archive, plain or compressed`,
    );
  }
  if (format === 'lz4-frame') {
    return new ImageError(
      'UNKNOWN_CODEC',
      `the archive is an lz4 frame at offset ${offset}, which the kernel does not unpack; recompress it in the legacy format: lz4 -d | lz4 -l`,
    );
  }
  return new ImageError(
    'UNKNOWN_CODEC',
    `the archive is ${format}-compressed at offset ${offset}, which this release does not edit; recompress it with gzip, xz or zstd first`,
  );
}

async function readGzipFrame(
  reader: ChunkReader,
  tools: FrameTools,
  cuts: StreamCuts | undefined,
): Promise<ReadFrame> {
  if (cuts !== undefined) return readCutMember(reader, cuts, tools);
  const prologue = await takeHeader(reader);
  const feed = new ArchiveFeed(codecOf({ codec: 'gzip', prologue }), tools);
  for (;;) {
    for await (const chunk of inflateMember(reader)) {
      tools.growth.add(chunk.length);
      await feed.plain(chunk);
    }
    // One archive in several members: gunzip joins them, so do we.
    if (!feed.inside || sniff(await reader.peek(MAGIC_LENGTH)) !== 'gzip') break;
    await takeHeader(reader);
  }
  return { feed, frame: { codec: 'gzip', prologue, segments: await feed.finish() } };
}

/**
 * Reads plain archives and the zeros before, between and after them. Leading zeros that bring the first archive to a
 * multiple of 4 are left out: archiveMap puts in as many as it takes.
 */
async function readPlainFrame(reader: ChunkReader, tools: FrameTools): Promise<ReadFrame> {
  const feed = new ArchiveFeed(codecOf({ codec: 'none', prologue: Buffer.alloc(0) }), tools);
  const ahead = await reader.peek(padding4(reader.position));
  const padding = Buffer.from(await reader.take(leadingZeros(ahead)));
  for (;;) {
    const chunk = await reader.next();
    if (chunk === undefined) break;
    if (feed.inside) {
      reader.giveBack(chunk.subarray(await feed.archive(chunk)));
      continue;
    }
    const zeros = leadingZeros(chunk);
    await feed.zeros(chunk.subarray(0, zeros));
    reader.giveBack(chunk.subarray(zeros));
    if (zeros === chunk.length) continue;
    const magic = await reader.peek(MAGIC_LENGTH);
    const tar = beginsTar(await reader.peek(BLOCK));
    if (sniff(magic) !== 'cpio' && !tar) break;
    if (reader.position % 4 !== 0 && !tar && oldFormatOf(magic) === undefined)
      throw misaligned(reader.position);
    const start = (await reader.next()) ?? Buffer.alloc(0);
    reader.giveBack(start.subarray(await feed.archive(start)));
  }
  const segments = await feed.finish();
  return {
    feed,
    frame: { codec: 'none', prologue: feed.archives > 0 ? Buffer.alloc(0) : padding, segments },
  };
}

function mixedFormats(offset: number): ImageError {
  return new ImageError(
    'UNKNOWN_CODEC',
    `before offset ${offset} a tar archive stands beside another, and tar reads only the first; give each archive in a file of its own`,
  );
}

function misaligned(offset: number): ImageError {
  return new ImageError(
    'BAD_MAGIC',
    `a plain cpio archive begins at offset ${offset}, where the kernel would not read it; pad what stands before it with zeros to a multiple of 4`,
  );
}
