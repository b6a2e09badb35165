import zlib from 'node:zlib';
import { sha256 } from '../store/digest.js';
import type { BlobWriter } from '../store/types.js';
import { encodeIndex, type IndexedEntry, type Segment, type Whole } from './archive.js';
import { join } from './chunks.js';
import type { PackedSegment, SegmentCodec } from './codec.js';
import type { KnownSegments } from './known-segments.js';

/** What writing an archive cost: the figures that `image put` and the demo print. */
export interface SegmentCounts {
  compressed: number; // plain bytes that were compressed
  compressedSegments: number;
  reusedSegments: number; // segments that were compressed already
  readonly wholes: { readonly codec: Whole['codec']; readonly plain: number }[]; // streams compressed whole, plain bytes of each
}

/** No work done yet. */
export function zeroCounts(): SegmentCounts {
  return { compressed: 0, compressedSegments: 0, reusedSegments: 0, wholes: [] };
}

/** Segments being compressed at one time: enough for every thread of libuv's pool. */
const IN_FLIGHT = 6;

/** Where segments go, in order. */
export interface SegmentSink {
  /** Adds the segment made of `chunks`; waits while there is enough to do. */
  add(kind: Segment['kind'], chunks: readonly Buffer[], entries: readonly IndexedEntry[]): Promise<void>;
}

/** Compresses segments on several threads and stores them in order. */
export class SegmentWriter implements SegmentSink {
  readonly #codec: SegmentCodec;
  readonly #writer: BlobWriter;
  readonly #counts: SegmentCounts;
  readonly #known: KnownSegments | undefined;
  readonly #results: Promise<Segment>[] = [];

  /**
   * With `known` (of the same codec), segments are looked up before they are compressed, and carry the SHA-256 of
   * their plain bytes as `source`.
   */
  constructor(codec: SegmentCodec, writer: BlobWriter, counts: SegmentCounts, known?: KnownSegments) {
    this.#codec = codec;
    this.#writer = writer;
    this.#counts = counts;
    this.#known = known;
  }

  /** With `packed`, which must be what `chunks` are compressed, nothing is compressed. */
  async add(
    kind: Segment['kind'],
    chunks: readonly Buffer[],
    entries: readonly IndexedEntry[],
    packed?: PackedSegment,
  ): Promise<void> {
    const result = this.#store(kind, chunks, entries, packed);
    result.catch(() => undefined); // reported by finish or by the wait below
    this.#results.push(result);
    const oldest = this.#results.at(-IN_FLIGHT);
    if (oldest !== undefined) await oldest;
  }

  /** Adds segments that are stored already. */
  keep(segments: readonly Segment[]): void {
    this.#counts.reusedSegments += segments.length;
    for (const segment of segments) this.#results.push(Promise.resolve(segment));
  }

  /** All segments, in the order in which they were added. */
  async finish(): Promise<Segment[]> {
    return Promise.all(this.#results);
  }

  async #store(
    kind: Segment['kind'],
    chunks: readonly Buffer[],
    entries: readonly IndexedEntry[],
    packed: PackedSegment | undefined,
  ): Promise<Segment> {
    const index = entries.length === 0 ? null : await this.#writer.put(encodeIndex(entries));
    if (packed !== undefined) {
      const check = chunks.reduce((crc, chunk) => zlib.crc32(chunk, crc), 0);
      const plain = chunks.reduce((sum, { length }) => sum + length, 0);
      return { kind, index, plain, check, ...(await this.#put(packed)) };
    }
    const plain = join(chunks);
    const check = zlib.crc32(plain);
    const source = this.#known === undefined ? undefined : sha256(plain);
    const place = { kind, index, ...(source === undefined ? {} : { source }) };
    const known = source === undefined ? undefined : await this.#known?.find({ plain, check, source });
    if (known !== undefined) {
      this.#counts.reusedSegments++;
      return { ...known, ...place };
    }
    const compressed = await this.#codec.compress(plain);
    this.#counts.compressed += plain.length;
    this.#counts.compressedSegments++;
    return { ...place, plain: plain.length, check, ...(await this.#put(compressed)) };
  }

  async #put({ stored, blocks }: PackedSegment): Promise<Pick<Segment, 'blob' | 'stored' | 'blocks'>> {
    const blob = await this.#writer.put(stored);
    return { blob, stored: stored.length, ...(blocks === undefined ? {} : { blocks }) };
  }
}
