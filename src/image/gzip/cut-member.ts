import type { StreamCuts } from '../archive-cuts.js';
import { ArchiveFeed, RUN_ENDS, type FrameTools, type ReadFrame } from '../archive-feed.js';
import type { ChunkReader } from '../chunks.js';
import { codecOf } from '../codec.js';
import { ImageError } from '../errors.js';
import { takeHeader } from './member.js';

/** More than any segment has, stored or plain, bytes. */
const MAX_SEGMENT = 16 * 1024 * 1024;

/** What a full flush ends in (RFC 1951 §3.2.4, an empty stored block). */
const FLUSHED = Buffer.from([0, 0, 0xff, 0xff]);

/**
 * Reads a gzip member that is made of segments as `cuts` says, and keeps each as it is. Throws ImageError BAD_CHECKSUM
 * when it is not cut so, and what reading the archive in it throws.
 */
export async function readCutMember(
  reader: ChunkReader,
  cuts: StreamCuts,
  tools: FrameTools,
): Promise<ReadFrame> {
  const prologue = await takeHeader(reader);
  const codec = codecOf({ codec: 'gzip', prologue });
  const feed = new ArchiveFeed(codec, tools, RUN_ENDS);
  for (const [stored, plain] of cuts) {
    if (stored > MAX_SEGMENT || plain > MAX_SEGMENT) throw notCutSo(reader);
    const bytes = Buffer.from(await reader.take(stored));
    if (bytes.length < stored || !bytes.subarray(-4).equals(FLUSHED)) throw notCutSo(reader);
    const inflated = await codec.decompress(bytes, plain).catch((error: unknown) => {
      throw notCutSo(reader, error);
    });
    tools.growth.add(plain);
    await feed.segment(inflated, { stored: bytes });
  }
  const segments = await feed.finish();
  const end = codec.epilogue(segments);
  if (!(await reader.take(end.length)).equals(end)) throw notCutSo(reader);
  return { feed, frame: { codec: 'gzip', prologue, segments } };
}

function notCutSo(reader: ChunkReader, cause?: unknown): ImageError {
  return new ImageError(
    'BAD_CHECKSUM',
    `the gzip stream is not cut as it is said to be before offset ${reader.position}; the file is damaged, fetch it again`,
    { cause },
  );
}
