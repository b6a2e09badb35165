import type { BlobWriter } from '../store/types.js';
import type { ArchiveDescriptor, Frame } from './archive.js';
import { ChunkReader } from './chunks.js';
import { codecOf, MAGIC_LENGTH, sniff, type SegmentCodec } from './codec.js';
import { padding4 } from './cpio/header.js';
import { CpioScanner } from './cpio/scanner.js';
import { CutPlanner, PIECE } from './cuts.js';
import { ImageError } from './errors.js';
import { inflateMember, takeHeader } from './gzip/member.js';
import { Segmenter } from './segmenter.js';
import { SegmentWriter, type SegmentCounts } from './segment-writer.js';
import { DEFAULT_LIMITS, Growth, type UnpackLimits } from './unpack-limits.js';

/**
 * Reads an archive file once, as the kernel would: frame after frame, each a compressed stream or plain cpio, zeros
 * between them. Stores its bytes as segments and gives back where every entry lies. Throws ImageError (TRUNCATED,
 * BAD_MAGIC, BAD_CHECKSUM, UNKNOWN_CODEC, TOO_LARGE).
 */
export async function readArchive(
  source: AsyncIterable<Buffer>,
  writer: BlobWriter,
  counts: SegmentCounts,
  limits: UnpackLimits = DEFAULT_LIMITS,
): Promise<ArchiveDescriptor> {
  const reader = new ChunkReader(source);
  const growth = new Growth(reader, limits);
  const frames: Frame[] = [];
  let archives = 0;
  const add = ({ frame, feed }: ReadFrame): void => {
    if (frame.segments.length > 0 || frame.codec === 'none') frames.push(frame);
    archives += feed.archives;
  };
  try {
    for (;;) {
      const start = await reader.peek(MAGIC_LENGTH);
      if (start.length === 0) break;
      const format = sniff(start);
      if (format === 'gzip') add(await readGzipFrame(reader, writer, counts, growth));
      else if (format === 'cpio-newc' || (start[0] === 0 && reader.position > 0)) {
        add(await readPlainFrame(reader, writer, counts));
      } else throw unknownFormat(format, reader.position, start);
    }
  } finally {
    await reader.close();
  }
  if (archives === 0) {
    throw new ImageError('TRUNCATED', 'the archive is empty; give a cpio archive, plain or gzip-compressed');
  }
  return { frames };
}

function unknownFormat(format: string | undefined, offset: number, start: Buffer): ImageError {
  if (format === undefined) {
    const seen = JSON.stringify(start.toString('latin1'));
    return new ImageError(
      'BAD_MAGIC',
      `not an archive: ${seen} at offset ${offset} begins no cpio archive and no compressed stream; give an initrd, plain or gzip-compressed`,
    );
  }
  return new ImageError(
    'UNKNOWN_CODEC',
    `the archive is ${format}-compressed at offset ${offset}; this release edits gzip-compressed and plain cpio archives: repack it with gzip first`,
  );
}

/** A frame, and the feed that read it. */
interface ReadFrame {
  readonly frame: Frame;
  readonly feed: ArchiveFeed;
}

/** Feeds plain bytes to scanners, one archive after another, and to the segmenter. */
class ArchiveFeed {
  readonly #segmenter: Segmenter;
  readonly #sink: SegmentWriter;
  #scanner: CpioScanner | undefined;
  #trailerOffset: number | undefined;
  #between: 'tail' | 'zeros' = 'zeros'; // what is gathered outside of an archive
  #archives = 0;

  constructor(codec: SegmentCodec, writer: BlobWriter, counts: SegmentCounts) {
    this.#sink = new SegmentWriter(codec, writer, counts);
    this.#segmenter = new Segmenter(this.#sink, new CutPlanner(codec.sizes));
  }

  /** Whether an archive has begun and its trailer has not been read. */
  get inside(): boolean {
    return this.#scanner !== undefined && !this.#scanner.finished;
  }

  /** Archives begun. */
  get archives(): number {
    return this.#archives;
  }

  /** Takes bytes up to the end of the archive's trailer; gives back how many. */
  async archive(chunk: Buffer): Promise<number> {
    const scanner = this.inside && this.#scanner !== undefined ? this.#scanner : await this.#begin();
    const taken = scanner.push(chunk);
    await this.#segmenter.push(chunk.subarray(0, taken));
    if (this.#trailerOffset !== undefined) {
      await this.#segmenter.flush('entries', this.#trailerOffset);
      this.#between = 'tail';
    }
    return taken;
  }

  /** Takes zeros between or after archives. */
  async zeros(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      const room = PIECE - this.#segmenter.gathered;
      await this.#segmenter.push(rest.subarray(0, room));
      if (rest.length >= room) await this.#flushBetween();
      rest = rest.subarray(room);
    }
  }

  async finish(): Promise<Frame['segments']> {
    this.#scanner?.finish();
    await this.#flushBetween();
    return this.#sink.finish();
  }

  async #flushBetween(): Promise<void> {
    await this.#segmenter.flush(this.#between);
    this.#between = 'zeros';
  }

  async #begin(): Promise<CpioScanner> {
    await this.#flushBetween();
    const base = this.#segmenter.position;
    this.#archives++;
    this.#trailerOffset = undefined;
    this.#scanner = new CpioScanner(base, {
      onEntry: (entry) => this.#segmenter.entry(entry),
      onTrailer: (trailer) => (this.#trailerOffset = trailer.offset),
    });
    return this.#scanner;
  }
}

/** The number of zero bytes that `chunk` begins with. */
function leadingZeros(chunk: Buffer): number {
  let count = 0;
  while (count < chunk.length && chunk[count] === 0) count++;
  return count;
}

async function readGzipFrame(
  reader: ChunkReader,
  writer: BlobWriter,
  counts: SegmentCounts,
  growth: Growth,
): Promise<ReadFrame> {
  const prologue = await takeHeader(reader);
  const feed = new ArchiveFeed(codecOf({ codec: 'gzip', prologue }), writer, counts);
  for (;;) {
    for await (const chunk of inflateMember(reader)) {
      growth.add(chunk.length);
      await feedPlain(feed, chunk);
    }
    // One archive in several members: gunzip joins them, so do we.
    if (!feed.inside || sniff(await reader.peek(MAGIC_LENGTH)) !== 'gzip') break;
    await takeHeader(reader);
  }
  return { feed, frame: { codec: 'gzip', prologue, segments: await feed.finish() } };
}

async function feedPlain(feed: ArchiveFeed, chunk: Buffer): Promise<void> {
  let rest = chunk;
  while (rest.length > 0) {
    if (!feed.inside) {
      const zeros = leadingZeros(rest);
      if (zeros > 0) {
        await feed.zeros(rest.subarray(0, zeros));
        rest = rest.subarray(zeros);
        continue;
      }
    }
    rest = rest.subarray(await feed.archive(rest));
  }
}

/**
 * Reads plain archives and the zeros before, between and after them. Leading zeros that bring the first archive to a
 * multiple of 4 are left out: archiveMap puts in as many as it takes.
 */
async function readPlainFrame(
  reader: ChunkReader,
  writer: BlobWriter,
  counts: SegmentCounts,
): Promise<ReadFrame> {
  const feed = new ArchiveFeed(codecOf({ codec: 'none', prologue: Buffer.alloc(0) }), writer, counts);
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
    if (sniff(await reader.peek(MAGIC_LENGTH)) !== 'cpio-newc') break;
    if (reader.position % 4 !== 0) throw misaligned(reader.position);
    const start = (await reader.next()) ?? Buffer.alloc(0);
    reader.giveBack(start.subarray(await feed.archive(start)));
  }
  const segments = await feed.finish();
  return {
    feed,
    frame: { codec: 'none', prologue: feed.archives > 0 ? Buffer.alloc(0) : padding, segments },
  };
}

function misaligned(offset: number): ImageError {
  return new ImageError(
    'BAD_MAGIC',
    `a plain cpio archive begins at offset ${offset}, where the kernel would not read it; pad what stands before it with zeros to a multiple of 4`,
  );
}
