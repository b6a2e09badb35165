import type { Digest } from './digest.js';
import type { BlobReader } from './types.js';

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
