const LF = 0x0a;
const CR = 0x0d;
const NUL = 0x00;

/** `bytes` in netascii (RFC 764 by way of RFC 1350 §1): LF becomes CR LF, CR becomes CR NUL. Needs no state between calls. */
export function toNetascii(bytes: Buffer): Buffer {
  let extra = 0;
  for (const byte of bytes) if (byte === LF || byte === CR) extra += 1;
  if (extra === 0) return bytes;
  const converted = Buffer.allocUnsafe(bytes.length + extra);
  let at = 0;
  for (const byte of bytes) {
    if (byte === LF) {
      converted[at++] = CR;
      converted[at++] = LF;
    } else {
      converted[at++] = byte;
      if (byte === CR) converted[at++] = NUL;
    }
  }
  return converted;
}
