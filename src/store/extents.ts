import type { Digest } from './digest.js';
import { partLength } from './extent-window.js';
import type { BlobReader } from './types.js';

export { decodeMap, encodeMap } from './extent-codec.js';
export { readBlob, readPieces, readRange, requireDigest } from './extent-read.js';
export { partLength, partsOf } from './extent-window.js';

/** A run of bytes: a slice of a blob, a literal, or `length` zero bytes. Lengths are at least 1. */
export type Part =
  | { readonly kind: 'blob'; readonly blob: Digest; readonly offset: number; readonly length: number }
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | { readonly kind: 'zero'; readonly length: number };

/** Where an artifact's bytes lie: consecutive parts, each a run of a blob or a literal. Total over [0, size). */
export interface ExtentMap {
  readonly size: number; // bytes
  readonly parts: readonly Part[]; // ordered, gapless
}
export type { Digest, BlobReader };

/**
 * `parts` as an extent map with the fewest parts: neighbouring slices of one blob that continue each other, literals
 * and zeros are joined, and empty parts dropped. The bytes stay the same.
 */
export function coalesce(parts: Iterable<Part>): ExtentMap {
  const joined: Part[] = [];
  let literals: Buffer[] = [];
  let size = 0;
  const flush = (): void => {
    if (literals.length > 0) joined.push({ kind: 'inline', bytes: oneBuffer(literals) });
    literals = [];
  };
  for (const part of parts) {
    const length = partLength(part);
    if (length === 0) continue;
    size += length;
    if (part.kind === 'inline') {
      literals.push(part.bytes);
      continue;
    }
    flush();
    const last = joined.at(-1);
    const both = last === undefined ? undefined : join(last, part);
    if (both === undefined) joined.push(part);
    else joined[joined.length - 1] = both;
  }
  flush();
  return { size, parts: joined };
}

function join(left: Part, right: Part): Part | undefined {
  if (left.kind === 'zero' && right.kind === 'zero')
    return { kind: 'zero', length: left.length + right.length };
  if (left.kind !== 'blob' || right.kind !== 'blob') return undefined;
  if (left.blob !== right.blob || left.offset + left.length !== right.offset) return undefined;
  return { ...left, length: left.length + right.length };
}

function oneBuffer(buffers: readonly Buffer[]): Buffer {
  const [first] = buffers;
  return buffers.length === 1 && first !== undefined ? first : Buffer.concat(buffers);
}

/** Every blob the map refers to, each once, in order of first use. */
export function blobsOf(map: ExtentMap): Set<Digest> {
  const blobs = new Set<Digest>();
  for (const part of map.parts) if (part.kind === 'blob') blobs.add(part.blob);
  return blobs;
}
