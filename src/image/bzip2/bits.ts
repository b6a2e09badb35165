/*
 * Bits are numbered from the first byte's most significant one, as bzip2 writes them. Bit numbers stay below 2^31.
 */

/** The `count` bits (at most 24) of `bytes` from bit `at`. Bits beyond the end are 0. */
export function bitsAt(bytes: Buffer, at: number, count: number): number {
  const byte = at >>> 3;
  const word =
    ((bytes[byte] ?? 0) << 24) |
    ((bytes[byte + 1] ?? 0) << 16) |
    ((bytes[byte + 2] ?? 0) << 8) |
    (bytes[byte + 3] ?? 0);
  return (word << (at & 7)) >>> (32 - count);
}

/** Bits [from, to) of `source` and zeros after them, moved to begin at bit `lead` (0 to 7) of the first byte. */
export function sliceBits(source: Buffer, from: number, to: number, lead = 0): Buffer {
  const target = Buffer.allocUnsafe((lead + to - from + 7) >>> 3);
  copyBits(source, from, to, target, lead);
  return target;
}

/**
 * Moves bits [from, to) of `source` to bit `at` of `target`. What else the first and the last byte they touch held
 * becomes zeros.
 */
export function copyBits(source: Buffer, from: number, to: number, target: Buffer, at: number): void {
  const first = at >>> 3;
  const lead = at & 7;
  const count = (lead + to - from + 7) >>> 3;
  const before = from - lead; // the source bit that meets bit 0 of the first byte
  const shift = before & 7;
  let read = before >> 3;
  if (shift === 0) {
    source.copy(target, first, read, read + count);
  } else {
    let high = source[read] ?? 0;
    for (let write = first; write < first + count; write++) {
      const low = source[++read] ?? 0;
      target[write] = (high << shift) | (low >> (8 - shift));
      high = low;
    }
  }
  const last = first + count - 1;
  target[first] = (target[first] ?? 0) & (0xff >> lead);
  target[last] = (target[last] ?? 0) & (0xff << (count * 8 - lead - (to - from)));
}

/** Writes the `count` bits (at most 24) of `value` into `bytes` at bit `at`. */
export function writeBits(bytes: Buffer, at: number, count: number, value: number): void {
  for (let bit = 0; bit < count; bit++) {
    const byte = (at + bit) >>> 3;
    const mask = 0x80 >> ((at + bit) & 7);
    const old = bytes[byte] ?? 0;
    bytes[byte] = ((value >>> (count - 1 - bit)) & 1) === 1 ? old | mask : old & ~mask;
  }
}
