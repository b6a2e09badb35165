/** Where lzop's header, as lzop 1.04 writes it, holds what (the kernel's decompress_unlzo.c: parse_header). */
const MAGIC_LENGTH = 9;
const FLAGS = 17;
const MTIME = 25; // low word, then high word
const NAME_LENGTH = 33;
const CRC32_OF_HEADER = 0x1000;

/** `stream`, which lzop wrote from its standard input, without the time at which it did: lzop has no option for that. */
export async function* withoutTime(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of stream) {
    if (held === undefined) {
      yield chunk;
      continue;
    }
    held = Buffer.concat([held, chunk]);
    const headerEnd = NAME_LENGTH + 1 + (held[NAME_LENGTH] ?? 0);
    if (held.length < NAME_LENGTH + 1 || held.length < headerEnd + 4) continue;
    if ((held.readUInt32BE(FLAGS) & CRC32_OF_HEADER) === 0) {
      held.fill(0, MTIME, MTIME + 8);
      held.writeUInt32BE(adler32(held.subarray(MAGIC_LENGTH, headerEnd)), headerEnd);
    }
    yield held;
    held = undefined;
  }
  if (held !== undefined) yield held;
}

/** RFC 1950 §9. */
function adler32(bytes: Buffer): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return b * 65536 + a;
}
