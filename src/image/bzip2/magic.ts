import { bitsAt } from './bits.js';

/** What bzip2 files begin with, before the digit that says how large blocks are. */
export const STREAM_MAGIC = Buffer.from('BZh');
/** The magic number of a block, in two halves: the digits of π. */
export const BLOCK_MAGIC = [0x314159, 0x265359] as const;
/** The magic number after the last block of a stream: the digits of √π. */
export const END_MAGIC = [0x177245, 0x385090] as const;

/** Bytes between two places that are looked at: wherever a magic number begins, it has that many whole pairs of bytes. */
const STRIDE = 4;
/** By pair of bytes: 1 when a magic number of either kind holds it, at some bit. */
const PAIRS = pairsOf([BLOCK_MAGIC, END_MAGIC]);

/** Whether the two halves of `magic` stand at bit `at`. */
export function hasMagic(bytes: Buffer, at: number, magic: readonly [number, number]): boolean {
  return bitsAt(bytes, at, 24) === magic[0] && bitsAt(bytes, at + 24, 24) === magic[1];
}

/** The first bit from `from` on at which a magic number of either kind stands that ends before bit `limit`. */
export function findMagic(bytes: Buffer, from: number, limit: number): number | undefined {
  const end = limit >>> 3;
  for (let place = from >>> 3; place < end; place += STRIDE) {
    if (PAIRS[((bytes[place] ?? 0) << 8) | (bytes[place + 1] ?? 0)] === 0) continue;
    const last = Math.min(place * 8, limit - 48);
    for (let at = Math.max(from, (place - STRIDE) * 8); at <= last; at++) {
      if (hasMagic(bytes, at, BLOCK_MAGIC) || hasMagic(bytes, at, END_MAGIC)) return at;
    }
  }
  return undefined;
}

function pairsOf(magics: readonly (readonly [number, number])[]): Uint8Array {
  const pairs = new Uint8Array(1 << 16);
  for (const [high, low] of magics) {
    const bits = (BigInt(high) << 24n) | BigInt(low);
    // A magic number of 48 bits that begins at bit 0 to 7 of a byte: its last 40 bits at least lie in whole bytes.
    for (let shift = 0n; shift < 8n; shift++) {
      const whole = (bits >> shift) & 0xff_ffff_ffffn; // of those bytes, the five before its last, cut one
      for (let pair = 0n; pair < BigInt(STRIDE); pair++) pairs[Number((whole >> (pair * 8n)) & 0xffffn)] = 1;
    }
  }
  return pairs;
}
