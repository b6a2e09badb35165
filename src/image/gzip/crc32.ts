/** The reflected CRC-32 polynomial of gzip and zip (RFC 1952 §8). */
const POLYNOMIAL = 0xedb8_8320;

/** a·b modulo the CRC polynomial, both reflected: bit 31 is x^0. */
function multiplyModulo(a: number, b: number): number {
  let product = 0;
  for (let bit = 0x8000_0000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= b;
    b = (b & 1) !== 0 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1;
  }
  return product >>> 0;
}

/** x^(8·2^k) modulo the polynomial, for k = 0, 1, 2 … 47: what appending 2^k zero bytes multiplies a CRC by. */
const BYTE_POWERS: readonly number[] = (() => {
  const powers = [0x0080_0000]; // x^8
  for (let k = 1; k < 48; k++) {
    const last = powers[k - 1] ?? 0;
    powers.push(multiplyModulo(last, last));
  }
  return powers;
})();

/** The CRC-32 of A followed by B, from the CRC-32 of each and B's length in bytes (below 2^48). */
export function combineCrc32(crcA: number, crcB: number, lengthB: number): number {
  let factor = 0x8000_0000; // x^0
  for (let k = 0, rest = lengthB; rest > 0; k++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) factor = multiplyModulo(factor, BYTE_POWERS[k] ?? 0);
  }
  return (multiplyModulo(factor, crcA >>> 0) ^ crcB) >>> 0;
}
