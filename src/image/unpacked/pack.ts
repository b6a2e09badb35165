import { createHash } from 'node:crypto';
import { FrameReader } from '../archive-index.js';
import type { ArchiveDescriptor, Frame, Segment } from '../archive.js';
import { collect } from '../chunks.js';
import { codecOf } from '../codec.js';
import { CutPlanner } from '../cuts.js';
import { EntryWriter } from '../entry-writer.js';
import { combineCrc32 } from '../gzip/crc32.js';
import { FAST_HEADER } from '../gzip/member.js';
import { KnownSegments } from '../known-segments.js';
import { tailOfPart } from '../parts.js';
import { Segmenter } from '../segmenter.js';
import { SegmentWriter } from '../segment-writer.js';
import { tailAt } from '../tail.js';
import type { WholeCodec } from '../whole/codecs.js';
import { compressAgain, withWhole, type WholeTools } from '../whole/compress.js';
import type { GatheredEntry } from './gather.js';
import { keptRuns, type KeptRun, type KnownArchive } from './kept-runs.js';

/** Which archive of a file is written anew, and how it is compressed. */
export interface PackTarget {
  readonly part: number; // from 1
  readonly compress: WholeCodec | undefined; // whole, by that program; by default as it was
  readonly known?: KnownArchive; // what need not be read again
}

/**
 * The archive file `base` with one of its cpio archives made of `entries`. Segments of `known` that hold what is to be
 * packed are taken over unread, and those that come out as some of `base` did are taken from there; a part that gets another compression becomes a stream of its own. When nothing changes, that is
 * `base` itself. Throws ImageError NO_SUCH_PART,
 * TRUNCATED, NAME_TOO_LONG, FILE_TOO_LARGE, and what compressing throws.
 */
export async function packPart(
  base: ArchiveDescriptor,
  entries: readonly GatheredEntry[],
  { part, compress, known }: PackTarget,
  tools: WholeTools,
): Promise<ArchiveDescriptor> {
  const place = tailOfPart(base, part);
  const frame = base.frames[place.frame];
  if (frame === undefined) throw new RangeError(`no frame ${place.frame}`);
  const first = firstSegment(frame, place.segment);
  const own = compress === undefined ? frame : { codec: 'gzip' as const, prologue: FAST_HEADER };
  const before = frame.segments.slice(0, first);
  const after = frame.segments.slice(place.segment + 1);
  const start = compress === undefined ? plainSize(before) : 0;
  const kept = known === undefined ? NONE : await keptRuns(entries, known, codecOf(own).dialect, tools.blobs);
  const segments = await writePart({ base, frame, tail: place.segment, own, kept, start }, entries, tools);
  if (compress === undefined) {
    const old = frame.segments.slice(first, place.segment + 1);
    if (await haveSamePlain({ ...frame, segments: old }, { ...frame, segments }, tools)) return base;
  }
  const frames =
    compress === undefined
      ? [await compressAgain({ ...frame, segments: [...before, ...segments, ...after] }, tools)]
      : [
          ...(await remainder(frame, before, tools)),
          await withWhole({ ...own, segments }, compress, tools),
          ...(await remainder(frame, after, tools)),
        ];
  return { frames: base.frames.flatMap((other) => (other === frame ? frames : [other])) };
}

/** Where the archive that ends with the trailer at `tail` begins: after the one before it and the zeros between them. */
function firstSegment({ segments }: Frame, tail: number): number {
  let first = tail;
  while (first > 0 && segments[first - 1]?.kind === 'entries') first--;
  return first;
}

const NONE: ReadonlyMap<number, KeptRun> = new Map();

/** Where a part is written, and how. */
interface PartPlace {
  readonly base: ArchiveDescriptor;
  readonly frame: Frame;
  readonly tail: number; // the segment with the trailer that it had
  readonly own: Pick<Frame, 'codec' | 'prologue'>;
  readonly kept: ReadonlyMap<number, KeptRun>;
  readonly start: number; // of its plain bytes in the frame
}

async function writePart(
  { base, frame, tail, own, kept, start }: PartPlace,
  entries: readonly GatheredEntry[],
  { writer, counts, blobs, earlier }: WholeTools,
): Promise<Segment[]> {
  const codec = codecOf(own);
  const sink = new SegmentWriter(codec, writer, counts, new KnownSegments(codec, base, earlier, blobs));
  const out = new EntryWriter(new Segmenter(sink, new CutPlanner(codec.sizes)));
  for (let at = 0; at < entries.length; at++) {
    const [run, entry] = [kept.get(at), entries[at]];
    if (run !== undefined) {
      await out.flush();
      sink.keep(run.segments);
      at += run.count - 1;
    } else if (entry !== undefined) await out.entry(entry, entry.content.read());
  }
  await out.flush();
  const written = plainSize(await sink.finish());
  const oldStart = plainSize(frame.segments.slice(0, tail));
  const end = plainSize(frame.segments.slice(0, tail + 1));
  const bytes = await collect(new FrameReader(frame, blobs).read(oldStart, end));
  await sink.add('tail', [tailAt(start + written, { bytes, end, frameEnd: plainSize(frame.segments) })], []);
  return sink.finish();
}

const plainSize = (segments: readonly Segment[]): number =>
  segments.reduce((sum, { plain }) => sum + plain, 0);

/** Whether two frames unpack to the same bytes. */
async function haveSamePlain(a: Frame, b: Frame, { blobs, writer }: WholeTools): Promise<boolean> {
  if (plainSize(a.segments) !== plainSize(b.segments) || crcOf(a.segments) !== crcOf(b.segments))
    return false;
  const blobsOf = ({ segments }: Frame): string => segments.map(({ blob }) => blob).join();
  if (blobsOf(a) === blobsOf(b)) return true;
  await writer.seal();
  const [one, other] = await Promise.all(
    [a, b].map(async (frame) => {
      const hash = createHash('sha256');
      for await (const chunk of new FrameReader(frame, blobs).read(0, plainSize(frame.segments)))
        hash.update(chunk);
      return hash.digest('hex');
    }),
  );
  return one === other;
}

const crcOf = (segments: readonly Segment[]): number =>
  segments.reduce((crc, { check, plain }) => combineCrc32(crc, check, plain), 0);

/** What is left of a frame when a part of it gets a stream of its own; zeros alone are left out. */
async function remainder(frame: Frame, segments: readonly Segment[], tools: WholeTools): Promise<Frame[]> {
  if (segments.every(({ kind }) => kind === 'zeros')) return [];
  return [await compressAgain({ ...frame, segments }, tools)];
}
