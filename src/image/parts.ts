import type { ArchiveDescriptor, Frame, Whole } from './archive.js';
import type { PlacedEntry } from './archive-index.js';
import { ImageError } from './errors.js';

/** Where an archive's trailer stands: a segment of kind `tail`. */
export interface TailPlace {
  readonly frame: number;
  readonly segment: number;
}

/** One of the archives that an archive file is made of, such as early microcode and what follows it. */
export interface Part {
  readonly part: number; // from 1, in the file's order
  readonly codec: Whole['codec'] | Frame['codec'];
  readonly format: 'newc' | 'crc' | 'tar';
  readonly entries: number;
  readonly plain: number; // bytes, trailer and zeros after it included
  readonly tail: TailPlace;
}

/** The trailers of a file's archives, in order. */
export function tailsOf({ frames }: ArchiveDescriptor): TailPlace[] {
  return frames.flatMap(({ segments }, frame) =>
    segments.flatMap(({ kind }, segment) => (kind === 'tail' ? [{ frame, segment }] : [])),
  );
}

/** The trailer of the archive that `part` counts, from 1. Throws ImageError NO_SUCH_PART. */
export function tailOfPart(descriptor: ArchiveDescriptor, part: number): TailPlace {
  const tails = tailsOf(descriptor);
  const tail = tails[part - 1];
  if (tail !== undefined) return tail;
  throw new ImageError(
    'NO_SUCH_PART',
    `there is no part ${part}: the file is made of ${tails.length === 1 ? 'one archive' : `${tails.length} archives`}; list them with: rackboot image parts`,
  );
}

/** The archives of a file, with what `entries`, all of its entries, say of them. */
export function partsOf(descriptor: ArchiveDescriptor, entries: readonly PlacedEntry[]): Part[] {
  let previous: TailPlace | undefined;
  return tailsOf(descriptor).map((tail, number) => {
    const frame = descriptor.frames[tail.frame];
    const first = previous?.frame === tail.frame ? previous.segment + 1 : 0;
    previous = tail;
    const own = entries.filter(({ archive }) => archive === number);
    const segments = frame?.segments.slice(first, tail.segment + 1) ?? [];
    return {
      part: number + 1,
      codec: frame?.whole?.codec ?? frame?.codec ?? 'none',
      format: frame?.format ?? (own.at(-1)?.header.magic === '070702' ? 'crc' : 'newc'),
      entries: own.length,
      plain: segments.reduce((sum, { plain }) => sum + plain, 0),
      tail,
    };
  });
}
