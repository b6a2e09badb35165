import { createHash } from 'node:crypto';
import type { Digest } from './digest.js';
import { StoreError } from './errors.js';
import { digestBytes, digestOf } from './state/rows.js';

/** Where a blob lies in its pack: `size` bytes from `offset`. */
export interface PackEntry {
  readonly digest: Digest;
  readonly offset: number;
  readonly size: number;
}

/** What the last bytes of a pack say about its index. */
export interface PackFooter {
  readonly count: number;
  readonly indexOffset: number;
  readonly indexDigest: Buffer;
}

// header: magic | blobs, back to back | index: count × (digest 32, offset 8, size 8) | footer
// footer: count 8 | index offset 8 | SHA-256 of the index 32 | magic 8. Numbers are big-endian.
/** The first bytes of every pack. */
export const packHeader = Buffer.from('RBPACK1\n', 'latin1');
const footerMagic = Buffer.from('RBINDEX\n', 'latin1');
/** The length of the footer, which ends every pack. */
export const footerBytes = 56;
/** The length of one blob's index entry. */
export const entryBytes = 48;
const at = { digest: 0, offset: 32, size: 40 } as const;
const footerAt = { count: 0, indexOffset: 8, indexDigest: 16, magic: 48 } as const;

/** The size of a pack's file that holds `blobs` blobs of `bytes` bytes together. */
export function packSize(blobs: number, bytes: number): number {
  return packHeader.length + bytes + blobs * entryBytes + footerBytes;
}

/** The index and footer that end a pack whose blobs end at `indexOffset`. */
export function encodePackEnd(entries: readonly PackEntry[], indexOffset: number): Buffer {
  const index = Buffer.alloc(entries.length * entryBytes);
  for (const [number, entry] of entries.entries()) {
    const base = number * entryBytes;
    digestBytes(entry.digest).copy(index, base + at.digest);
    index.writeBigUInt64BE(BigInt(entry.offset), base + at.offset);
    index.writeBigUInt64BE(BigInt(entry.size), base + at.size);
  }
  const footer = Buffer.alloc(footerBytes);
  footer.writeBigUInt64BE(BigInt(entries.length), footerAt.count);
  footer.writeBigUInt64BE(BigInt(indexOffset), footerAt.indexOffset);
  digestOfIndex(index).copy(footer, footerAt.indexDigest);
  footerMagic.copy(footer, footerAt.magic);
  return Buffer.concat([index, footer]);
}

/** The footer in the last `footerBytes` of a pack of `fileSize` bytes. Throws StoreError PACK_DAMAGED. */
export function decodePackFooter(footer: Buffer, fileSize: number): PackFooter {
  if (footer.length !== footerBytes || !footer.subarray(footerAt.magic).equals(footerMagic)) {
    throw damaged('it has no footer');
  }
  const count = Number(footer.readBigUInt64BE(footerAt.count));
  const indexOffset = Number(footer.readBigUInt64BE(footerAt.indexOffset));
  if (indexOffset < packHeader.length || indexOffset + count * entryBytes + footerBytes !== fileSize) {
    throw damaged('its footer does not fit its size');
  }
  return { count, indexOffset, indexDigest: footer.subarray(footerAt.indexDigest, footerAt.magic) };
}

/** The entries of the index that `footer` describes. Throws StoreError PACK_DAMAGED. */
export function decodePackIndex(index: Buffer, footer: PackFooter): PackEntry[] {
  if (index.length !== footer.count * entryBytes || !digestOfIndex(index).equals(footer.indexDigest)) {
    throw damaged('its index has changed');
  }
  return Array.from({ length: footer.count }, (_, number) => {
    const base = number * entryBytes;
    const offset = Number(index.readBigUInt64BE(base + at.offset));
    const size = Number(index.readBigUInt64BE(base + at.size));
    if (offset < packHeader.length || offset + size > footer.indexOffset)
      throw damaged('a blob lies outside it');
    return { digest: digestOf(index.subarray(base + at.digest, base + at.offset)), offset, size };
  });
}

function digestOfIndex(index: Buffer): Buffer {
  return createHash('sha256').update(index).digest();
}

function damaged(why: string): StoreError {
  return new StoreError('PACK_DAMAGED', `damaged pack: ${why}; put the file back from a backup.`);
}
