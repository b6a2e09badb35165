import type { ArchiveDescriptor, Frame } from './archive.js';

/**
 * How the gzip streams of an archive file are cut into segments, stream after stream: the bytes of each segment, stored
 * and plain. Read by them, an archive comes to the same segments again.
 */
export type ArchiveCuts = readonly StreamCuts[];

/** The segments of one stream. */
export type StreamCuts = readonly (readonly [stored: number, plain: number])[];

/** The cuts of `descriptor`; none where it has no gzip stream that is cut. */
export function cutsOf({ frames }: ArchiveDescriptor): ArchiveCuts {
  return frames
    .filter(isCutGzip)
    .map(({ segments }) => segments.map(({ stored, plain }) => [stored, plain] as const));
}

const isCutGzip = ({ codec, whole }: Frame): boolean => codec === 'gzip' && whole === undefined;
