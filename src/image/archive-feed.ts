import type { BlobWriter } from '../store/types.js';
import type { Frame } from './archive.js';
import { MAGIC_LENGTH, sniff, type PackedSegment, type SegmentCodec } from './codec.js';
import { CpioConverter } from './cpio/converter.js';
import { padding4 } from './cpio/header.js';
import { OLD_LAYOUTS, oldFormatOf } from './cpio/old-header.js';
import { CpioScanner, type ScannedEntry } from './cpio/scanner.js';
import { CutPlanner, PIECE, SEGMENT_MIN } from './cuts.js';
import { PackedRuns } from './packed-runs.js';
import { Segmenter, type CutRule } from './segmenter.js';
import { SegmentWriter, type SegmentCounts } from './segment-writer.js';
import { ImageError } from './errors.js';
import { beginsTar, BLOCK } from './tar/header.js';
import { TarScanner } from './tar/scanner.js';
import type { Growth } from './unpack-limits.js';

/** What reading a frame takes. */
export interface FrameTools {
  readonly writer: BlobWriter;
  readonly counts: SegmentCounts;
  readonly growth: Growth;
  /** Hears, in one line, what is to be known of an archive that does not stay as it is. */
  readonly note: (line: string) => void;
}

/** A frame, and the feed that read it. */
export interface ReadFrame {
  readonly frame: Frame;
  readonly feed: ArchiveFeed;
}

/** The number of zero bytes that `chunk` begins with. */
export function leadingZeros(chunk: Buffer): number {
  let count = 0;
  while (count < chunk.length && chunk[count] === 0) count++;
  return count;
}

/** Segments end where runs that were compressed already do, and nowhere else. */
export const RUN_ENDS: CutRule = { entry: () => ({ at: [] }), restart: () => undefined };

/** Feeds plain bytes to scanners, one archive after another, and to the segmenter. */
export class ArchiveFeed {
  readonly #segmenter: Segmenter;
  readonly #sink: SegmentWriter;
  readonly #runs: PackedRuns;
  #scanner: CpioScanner | TarScanner | undefined;
  #trailerOffset: number | undefined;
  #between: 'tail' | 'zeros' = 'zeros'; // what is gathered outside of an archive
  #archives = 0;
  #read = 0; // plain bytes taken
  #start: Buffer = Buffer.alloc(0); // bytes of an archive whose format they are too few to tell
  #converter: CpioConverter | undefined;
  #converted = false;
  #format: Frame['format'];
  readonly #note: (line: string) => void;
  readonly #growth: Growth;
  #entries = 0;

  /** Segments go to `tools.writer`, compressed by `codec`, and are cut by `rule`. */
  constructor(
    codec: SegmentCodec,
    { writer, counts, note, growth }: FrameTools,
    rule: CutRule = new CutPlanner(codec.sizes),
  ) {
    this.#note = note;
    this.#growth = growth;
    this.#sink = new SegmentWriter(codec, writer, counts);
    this.#runs = new PackedRuns(this.#sink);
    this.#segmenter = new Segmenter(this.#runs, rule);
  }

  /** Whether an archive has begun and its trailer has not been read. */
  get inside(): boolean {
    return this.#start.length > 0 || (this.#scanner !== undefined && !this.#scanner.finished);
  }

  /** Whether an archive was turned into newc: its bytes are not those that were read. */
  get converted(): boolean {
    return this.#converted;
  }

  /** What the frame's archives are, as Frame has it. */
  get format(): Frame['format'] {
    return this.#format;
  }

  /** Entries begun. */
  get entries(): number {
    return this.#entries;
  }

  /** Archives begun. */
  get archives(): number {
    return this.#archives;
  }

  /** Takes plain bytes of a compressed stream: archives, with zeros before, between and after them. */
  async plain(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      const zeros = this.inside ? 0 : leadingZeros(rest);
      if (zeros > 0) await this.zeros(rest.subarray(0, zeros));
      rest = rest.subarray(zeros);
      if (rest.length > 0) rest = rest.subarray(await this.archive(rest));
    }
  }

  /**
   * Takes a run of plain bytes of a compressed stream, as `plain` does. When a segment turns out to consist of whole
   * runs, it is stored as what is in `packed`, without being compressed.
   */
  async run(chunks: readonly Buffer[], packed: PackedSegment | undefined): Promise<void> {
    const start = this.#asRead;
    for (const chunk of chunks) await this.plain(chunk);
    const end = this.#asRead;
    if (packed !== undefined && start !== undefined && end !== undefined)
      this.#runs.place(packed, start, end);
    if (this.#scanner?.finished === false && this.#segmenter.gathered >= SEGMENT_MIN) this.#segmenter.cut();
  }

  /**
   * Takes plain bytes that are a segment by themselves and stay one, stored as `packed`. Throws ImageError BAD_HEADER
   * where it ends inside of an entry's header.
   */
  async segment(plain: Buffer, packed: PackedSegment): Promise<void> {
    const start = this.#asRead;
    if (start !== undefined) this.#runs.place(packed, start, start + plain.length);
    await this.plain(plain);
    if (this.#scanner?.finished !== false) return this.#flushBetween();
    if (this.#scanner.settled < this.#segmenter.position) {
      throw new ImageError(
        'BAD_HEADER',
        `a segment ends at offset ${this.#read} inside an entry's header; the file is damaged, fetch it again`,
      );
    }
    await this.#segmenter.flush('entries');
  }

  /** The offset past the last byte taken, while all bytes went on to the segmenter as they were read. */
  get #asRead(): number | undefined {
    const { position } = this.#segmenter;
    return this.#start.length > 0 || position !== this.#read ? undefined : position;
  }

  /** Takes bytes up to the end of the archive's trailer; gives back how many. */
  async archive(chunk: Buffer): Promise<number> {
    if (this.#scanner !== undefined && !this.#scanner.finished) return this.#convert(chunk, this.#scanner);
    const held = this.#start.length;
    this.#start = Buffer.concat([this.#start, chunk]);
    const enough = sniff(this.#start) === 'cpio' ? MAGIC_LENGTH : BLOCK;
    if (this.#start.length < enough) return chunk.length;
    return (await this.#begin()) - held;
  }

  /** Takes zeros between or after archives. */
  async zeros(chunk: Buffer): Promise<void> {
    this.#read += chunk.length;
    for (let rest = chunk; rest.length > 0;) {
      const room = PIECE - this.#segmenter.gathered;
      await this.#segmenter.push(rest.subarray(0, room));
      if (rest.length >= room) await this.#flushBetween();
      rest = rest.subarray(room);
    }
  }

  /** Says that the frame ended; gives back its segments. Throws ImageError TRUNCATED. */
  async finish(): Promise<Frame['segments']> {
    if (this.#start.length > 0) await this.#begin();
    this.#converter?.finish();
    this.#scanner?.finish();
    await this.#flushBetween();
    return this.#sink.finish();
  }

  async #flushBetween(): Promise<void> {
    await this.#segmenter.flush(this.#between);
    this.#between = 'zeros';
  }

  /** Begins an archive with the bytes gathered for its magic; gives back how many of them it took. */
  async #begin(): Promise<number> {
    const start = this.#start;
    this.#start = Buffer.alloc(0);
    const tar = beginsTar(start);
    const format = tar ? undefined : oldFormatOf(start);
    if (this.#archives > 0 && (tar || this.#format === 'tar')) throw secondArchive(this.#read);
    if (tar) this.#format = 'tar';
    this.#converter = format === undefined ? undefined : new CpioConverter(format, this.#read);
    // Once an archive has changed its size, the next one must be brought back to where the kernel looks for it.
    this.#converted ||= format !== undefined;
    if (this.#converted) await this.#segmenter.push(Buffer.alloc(padding4(this.#segmenter.position)));
    await this.#flushBetween();
    const base = this.#segmenter.position;
    this.#archives++;
    this.#trailerOffset = undefined;
    const events = {
      onEntry: (entry: ScannedEntry): void => {
        this.#growth.addEntry();
        this.#entries++;
        this.#segmenter.entry(entry);
      },
      onTrailer: (trailer: { readonly offset: number }): void => {
        this.#trailerOffset = trailer.offset;
      },
    };
    this.#scanner = tar ? new TarScanner(base, events) : new CpioScanner(base, events);
    return this.#convert(start, this.#scanner);
  }

  async #convert(chunk: Buffer, scanner: CpioScanner | TarScanner): Promise<number> {
    const converter = this.#converter;
    if (converter === undefined) {
      const taken = await this.#scan(chunk, scanner);
      this.#read += taken;
      return taken;
    }
    const { taken, newc } = converter.push(chunk);
    this.#read += taken;
    for (const bytes of newc) await this.#scan(bytes, scanner);
    if (converter.finished) this.#note(noteOf(converter));
    return taken;
  }

  async #scan(chunk: Buffer, scanner: CpioScanner | TarScanner): Promise<number> {
    const taken = scanner.push(chunk);
    // A trailer begins a segment of its own: nothing is cut in its midst.
    await this.#segmenter.push(chunk.subarray(0, taken), this.#trailerOffset ?? scanner.settled);
    if (this.#trailerOffset !== undefined) {
      await this.#segmenter.flush('entries', this.#trailerOffset);
      this.#between = 'tail';
    }
    return taken;
  }
}

function secondArchive(offset: number): ImageError {
  return new ImageError(
    'UNKNOWN_CODEC',
    `another archive begins at offset ${offset}, beside the tar archive, and tar reads only the first; give each archive in a file of its own`,
  );
}

function noteOf({ format, lateTimes }: CpioConverter): string {
  const late =
    lateTimes === 0
      ? ''
      : `; ${lateTimes} of its times lie after 2106, which newc cannot hold: they became its latest`;
  return `converted from ${OLD_LAYOUTS[format].title} to newc, which the kernel unpacks${late}`;
}
