import type { Digest } from '../store/digest.js';
import type { BlobReader } from '../store/types.js';
import { readBlobs } from './archive-index.js';
import type { ArchiveDescriptor, Segment } from './archive.js';
import { codecOf, type SegmentCodec } from './codec.js';

/** Plain bytes that are to become a segment. */
export interface PlainSegment {
  readonly plain: Buffer;
  readonly check: number; // their CRC-32
  readonly source: Digest; // their SHA-256
}

/**
 * The segments of one codec that need not be compressed again: those of the archive that is edited, found by CRC-32
 * and length and then compared byte by byte, and those that earlier edits of it wrote, found by SHA-256.
 */
export class KnownSegments {
  readonly #codec: SegmentCodec;
  readonly #blobs: BlobReader;
  readonly #base = new Map<string, Segment[]>();
  readonly #written = new Map<Digest, Segment>();

  constructor(
    codec: SegmentCodec,
    base: ArchiveDescriptor,
    earlier: readonly ArchiveDescriptor[],
    blobs: BlobReader,
  ) {
    this.#codec = codec;
    this.#blobs = blobs;
    for (const segment of segmentsOf([base], codec)) {
      const key = keyOf(segment.check, segment.plain);
      const alike = this.#base.get(key);
      if (alike === undefined) this.#base.set(key, [segment]);
      else alike.push(segment);
    }
    for (const segment of segmentsOf(earlier, codec)) {
      if (segment.source !== undefined) this.#written.set(segment.source, segment);
    }
  }

  /** The segment with these plain bytes, or undefined. */
  async find({ plain, check, source }: PlainSegment): Promise<Segment | undefined> {
    const written = this.#written.get(source);
    if (written !== undefined) return written;
    const alike = this.#base.get(keyOf(check, plain.length)) ?? [];
    for (const segment of new Map(alike.map((one) => [one.blob, one])).values()) {
      if ((await this.#plainOf(segment)).equals(plain)) return segment;
    }
    return undefined;
  }

  async #plainOf({ blob, plain }: Segment): Promise<Buffer> {
    const stored = (await readBlobs(this.#blobs, [blob])).get(blob) ?? Buffer.alloc(0);
    return this.#codec.decompress(stored, plain);
  }
}

const keyOf = (check: number, length: number): string => `${check}:${length}`;

function segmentsOf(descriptors: readonly ArchiveDescriptor[], { dialect }: SegmentCodec): Segment[] {
  return descriptors
    .flatMap(({ frames }) => frames)
    .flatMap((frame) => (codecOf(frame).dialect === dialect ? frame.segments : []));
}
