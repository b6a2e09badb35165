import type { BlobReader, BlobWriter } from '../store/types.js';
import { FrameReader, type PlacedEntry } from './archive-index.js';
import type { ArchiveDescriptor, Frame, Segment } from './archive.js';
import { collect } from './chunks.js';
import { codecOf } from './codec.js';
import { sumOf } from './cpio/checksum.js';
import { isRegular } from './cpio/header.js';
import { canonicalPath, pathToText, type ArchivePath } from './cpio/path.js';
import { CutPlanner } from './cuts.js';
import { ImageError } from './errors.js';
import { EntryWriter, type WrittenEntry } from './entry-writer.js';
import type { EditPlan } from './edit-plan.js';
import { attributesOf, type PlannedEntry } from './entry-draft.js';
import { KnownSegments } from './known-segments.js';
import type { TailPlace } from './parts.js';
import { Segmenter } from './segmenter.js';
import { SegmentWriter, type SegmentCounts } from './segment-writer.js';
import { tailAt } from './tail.js';
import { holdsCapability } from './tar/encode.js';
import { planTar } from './tar/plan.js';
import { tarTailAt } from './tar/tail.js';

/** What writing changed entries works with. */
export interface ApplyTools {
  readonly blobs: BlobReader;
  readonly writer: BlobWriter;
  readonly counts: SegmentCounts;
  /** Descriptors made by earlier edits of the same archive: segments that are to come out the same are taken from them. */
  readonly earlier: readonly ArchiveDescriptor[];
  /** Told of files whose capabilities went with their content. */
  readonly onCapabilityLost?: (path: ArchivePath) => void;
}

/**
 * The archive file `base` with `draft` done to the archive in it that ends at `target` and holds `entries`. Streams that
 * are compressed whole are left to the caller. Throws ImageError TRUNCATED when content ends before its size.
 */
export async function applyPlan(
  base: ArchiveDescriptor,
  entries: readonly PlacedEntry[],
  draft: EditPlan,
  target: TailPlace,
  tools: ApplyTools,
): Promise<ArchiveDescriptor> {
  const plan = base.frames[target.frame]?.format === 'tar' ? planTar(entries, draft) : draft;
  if (plan.changed.size === 0 && plan.added.length === 0) return base;
  const readers = base.frames.map((frame) => new FrameReader(frame, tools.blobs));
  const splicer = new Splicer(base, entries, plan, target, readers, tools);
  const frames: Frame[] = [];
  for (let number = 0; number < base.frames.length; number++) frames.push(await splicer.frame(number));
  return { frames };
}

class Splicer {
  readonly #base: ArchiveDescriptor;
  readonly #entries: readonly PlacedEntry[];
  readonly #plan: EditPlan;
  readonly #readers: readonly FrameReader[];
  readonly #known = new Map<string, KnownSegments>(); // by dialect
  readonly #tools: ApplyTools;
  readonly #target: TailPlace; // new entries go before it

  constructor(
    base: ArchiveDescriptor,
    entries: readonly PlacedEntry[],
    plan: EditPlan,
    target: TailPlace,
    readers: readonly FrameReader[],
    tools: ApplyTools,
  ) {
    this.#base = base;
    this.#entries = entries;
    this.#plan = plan;
    this.#readers = readers;
    this.#tools = tools;
    this.#target = target;
  }

  async frame(number: number): Promise<Frame> {
    const frame = this.#base.frames[number];
    if (frame === undefined) throw new RangeError(`no frame ${number}`);
    const touched = this.#touchedSegments(number);
    const added = number === this.#target.frame ? this.#plan.added : [];
    if (touched.size === 0 && added.length === 0) return frame;
    const tail = number === this.#target.frame ? this.#target.segment : lastTailOf(frame);
    const starts = startsOf(frame);
    const segments: Segment[] = [];
    for (let at = 0; at < frame.segments.length; at++) {
      const segment = frame.segments[at];
      if (segment === undefined) continue;
      if (at === tail) {
        if (added.length > 0)
          segments.push(...(await this.#write(frame, (out) => this.#writeAll(out, added))));
        segments.push(...(await this.#rewriteTail(frame, number, at, starts, segments)));
      } else if (touched.has(at)) {
        let last = at;
        while (touched.has(last + 1)) last++;
        const from = starts[at] ?? 0;
        const to = starts[last + 1] ?? 0;
        segments.push(...(await this.#write(frame, (out) => this.#copyRun(out, number, from, to))));
        at = last;
      } else {
        segments.push(segment);
      }
    }
    return { ...frame, segments };
  }

  /** The segments of a frame that hold a byte that changes or moves. */
  #touchedSegments(number: number): Set<number> {
    const touched = new Set<number>();
    const reader = this.#readers[number];
    for (const [at, planned] of this.#plan.changed) {
      const entry = this.#entries[at];
      if (entry === undefined || entry.frame !== number || reader === undefined) continue;
      const end = keepsData(entry, planned) ? entry.dataOffset : entry.end;
      for (let segment = entry.segment; segment <= reader.segmentAt(end - 1); segment++) touched.add(segment);
    }
    return touched;
  }

  #sink(frame: Frame): SegmentWriter {
    const { writer, counts, earlier, blobs } = this.#tools;
    const codec = codecOf(frame);
    const known = this.#known.get(codec.dialect) ?? new KnownSegments(codec, this.#base, earlier, blobs);
    this.#known.set(codec.dialect, known);
    return new SegmentWriter(codec, writer, counts, known);
  }

  async #write(frame: Frame, body: (out: EntryWriter) => Promise<void>): Promise<Segment[]> {
    const sink = this.#sink(frame);
    const out = new EntryWriter(new Segmenter(sink, new CutPlanner(codecOf(frame).sizes)), frame.format);
    await body(out);
    await out.flush();
    return sink.finish();
  }

  async #writeAll(out: EntryWriter, planned: readonly PlannedEntry[]): Promise<void> {
    for (const entry of planned) await this.#writeEntry(out, entry);
  }

  /** Copies plain bytes [from, to) of a frame, with the changes of the plan. */
  async #copyRun(out: EntryWriter, frame: number, from: number, to: number): Promise<void> {
    const reader = this.#readers[frame];
    if (reader === undefined) return;
    let done = from;
    const first = this.#firstEntryAt(frame, from);
    for (let at = first; at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      if (entry === undefined || entry.frame !== frame || entry.offset >= to) break;
      if (entry.offset > done) await out.bytes(reader.read(done, entry.offset));
      const planned = this.#plan.changed.get(at);
      const end = Math.min(entry.end, to);
      if (planned === undefined) await out.copy(entry, reader.read(entry.offset, end));
      else if (keepsData(entry, planned)) {
        await out.head(await this.#withHead(planned));
        await out.bytes(reader.read(entry.dataOffset, end));
      } else if (planned !== null) await this.#writeEntry(out, planned);
      done = end;
    }
    if (done < to) await out.bytes(reader.read(done, to));
  }

  #firstEntryAt(frame: number, offset: number): number {
    const at = this.#entries.findIndex((entry) => entry.frame === frame && entry.offset >= offset);
    return at < 0 ? this.#entries.length : at;
  }

  async #writeEntry(out: EntryWriter, planned: PlannedEntry): Promise<void> {
    const { header } = planned;
    const summed = header.magic === '070702' && planned.data.kind === 'new' && isRegular(header.mode);
    const check = summed ? await sumOf(this.#dataOf(planned)) : header.check;
    if (planned.data.kind === 'kept') requireWritable(planned.data.entry);
    const written = await this.#withHead({ ...planned, header: { ...header, check } });
    await out.entry(written, this.#dataOf(planned));
  }

  /** In a tar archive, with the header of the file whose data or extended attributes the entry keeps. */
  async #withHead(planned: PlannedEntry): Promise<WrittenEntry> {
    const from = attributesOf(planned);
    const reader = from === undefined ? undefined : this.#readers[from.frame];
    if (from === undefined || reader === undefined) return planned;
    const head = await collect(reader.read(from.offset, from.dataOffset));
    const sameData = planned.data.kind === 'kept';
    const isGiven = planned.added?.['security.capability'] !== undefined;
    if (!sameData && !isGiven && holdsCapability(head))
      this.#tools.onCapabilityLost?.(canonicalPath(planned.rawName));
    return { ...planned, origin: { head, sameData } };
  }

  #dataOf({ data }: PlannedEntry): AsyncIterable<Buffer> {
    if (data.kind === 'new') return data.content.read();
    const reader = this.#readers[data.entry.frame];
    if (reader === undefined) throw new RangeError(`no frame ${data.entry.frame}`);
    return reader.dataOf(data.entry);
  }

  /** The last trailer again, with as many zeros after it as keep the frame's blocks whole, if they were. */
  async #rewriteTail(
    frame: Frame,
    number: number,
    at: number,
    starts: readonly number[],
    before: readonly Segment[],
  ): Promise<Segment[]> {
    const reader = this.#readers[number];
    const start = starts[at] ?? 0;
    const end = starts[at + 1] ?? 0;
    if (reader === undefined) return [];
    const newStart = before.reduce((sum, segment) => sum + segment.plain, 0);
    const plain = (frame.format === 'tar' ? tarTailAt : tailAt)(newStart, {
      bytes: await collect(reader.read(start, end)),
      end,
      frameEnd: starts.at(-1) ?? 0,
    });
    const sink = this.#sink(frame);
    await sink.add('tail', [plain], []);
    return sink.finish();
  }
}

/**
 * Whether only fields of an entry's header change: its name and its data stay, and so does where they stand. What a
 * sparse file is changes with its header.
 */
function keepsData(entry: PlacedEntry, planned: PlannedEntry | null): planned is PlannedEntry {
  if (entry.tar?.sparse !== undefined) return false;
  return planned?.data.kind === 'kept' && planned.data.entry === entry && planned.rawName === entry.rawName;
}

/** The largest sparse file that is written out with its zeros. */
const MAX_FILLED = 64 * 2 ** 30; // bytes

function requireWritable({ path, header, tar }: PlacedEntry): void {
  if (tar?.sparse === undefined || header.size <= MAX_FILLED) return;
  throw new ImageError(
    'TOO_LARGE',
    `${pathToText(path)}: a sparse file of ${header.size} bytes, which a change to it would write with all its zeros; leave it alone, or delete it and put one in its place`,
  );
}

/** Where each segment begins in the frame's plain bytes, and after the last one, where the frame ends. */
function startsOf(frame: Frame): number[] {
  const starts = [0];
  for (const segment of frame.segments) starts.push((starts.at(-1) ?? 0) + segment.plain);
  return starts;
}

/** The segment with the last archive's trailer. */
export function lastTailOf(frame: Frame): number {
  for (let at = frame.segments.length - 1; at >= 0; at--) if (frame.segments[at]?.kind === 'tail') return at;
  return frame.segments.length;
}
