import zlib from 'node:zlib';
import { codeOf, messageOf } from '../../errors.js';
import type { ChunkReader } from '../chunks.js';
import { ImageError } from '../errors.js';

/** ID1 ID2 of a gzip member (RFC 1952 §2.3.1). */
export const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
/** XFL of a member whose compressor was told to be as fast as it can (RFC 1952 §2.3.1). */
const FASTEST = 4;
/** The header of members that only keep bytes and are not served: deflate, no flags, no time, made on Unix. */
export const FAST_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, FASTEST, 3]);

/** Whether a member with `header` was compressed as fast as could be, and is to be compressed so again. */
export const isFast = (header: Buffer): boolean => header[8] === FASTEST;

const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;
const RESERVED = 0xe0;
/** More than any name or comment that a compressor writes; a longer header is not a header. */
const MAX_HEADER = 64 * 1024;

const truncated = (what: string, reader: ChunkReader): ImageError =>
  new ImageError(
    'TRUNCATED',
    `the gzip stream ends inside ${what} at offset ${reader.position}; the file is cut short, fetch it again`,
  );

/** Takes a gzip member's header (RFC 1952 §2.3) and gives it back as it stands. Throws ImageError BAD_MAGIC, BAD_HEADER, BAD_CHECKSUM, TRUNCATED. */
export async function takeHeader(reader: ChunkReader): Promise<Buffer> {
  const start = reader.position;
  const fixed = Buffer.from(await reader.take(10));
  if (fixed.length < 10) throw truncated('its header', reader);
  if (fixed[0] !== 0x1f || fixed[1] !== 0x8b) {
    throw new ImageError('BAD_MAGIC', `no gzip header at offset ${start}`);
  }
  const flags = fixed[3] ?? 0;
  if (fixed[2] !== 8 || (flags & RESERVED) !== 0) {
    throw new ImageError(
      'BAD_HEADER',
      `the gzip header at offset ${start} asks for method ${fixed[2]}, flags ${flags}; only deflate is defined (RFC 1952)`,
    );
  }
  const parts = [fixed];
  const take = async (length: number): Promise<Buffer> => {
    const bytes = Buffer.from(await reader.take(length));
    if (bytes.length < length) throw truncated('its header', reader);
    parts.push(bytes);
    return bytes;
  };
  if ((flags & FEXTRA) !== 0) await take((await take(2)).readUInt16LE(0));
  for (const flag of [FNAME, FCOMMENT]) {
    if ((flags & flag) === 0) continue;
    for (let length = 0; (await take(1))[0] !== 0; length++) {
      if (length > MAX_HEADER)
        throw new ImageError(
          'BAD_HEADER',
          `the gzip header at offset ${start} holds a name of more than ${MAX_HEADER} bytes`,
        );
    }
  }
  if ((flags & FHCRC) !== 0) {
    const sum = zlib.crc32(Buffer.concat(parts)) & 0xffff;
    if ((await take(2)).readUInt16LE(0) !== sum) {
      throw new ImageError(
        'BAD_CHECKSUM',
        `the gzip header at offset ${start} fails its CRC-16; the file is damaged, fetch it again`,
      );
    }
  }
  return Buffer.concat(parts);
}

/**
 * The data of one gzip member whose header was taken, in chunks; checks the trailer (CRC-32 and size) and leaves
 * `reader` after it. Throws ImageError TRUNCATED or BAD_CHECKSUM.
 */
export async function* inflateMember(reader: ChunkReader): AsyncGenerator<Buffer> {
  const start = reader.position;
  const engine = zlib.createInflateRaw({ chunkSize: 256 * 1024 });
  const feeding = feed(engine, reader);
  let crc = 0;
  let size = 0;
  try {
    for await (const chunk of engine as AsyncIterable<Buffer>) {
      crc = zlib.crc32(chunk, crc);
      size += chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw explainInflate(error, start, reader);
  } finally {
    engine.destroy();
    reader.giveBack(await feeding);
  }
  const trailer = await reader.take(8);
  if (trailer.length < 8) throw truncated('its trailer', reader);
  if (trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== size % 2 ** 32) {
    throw new ImageError(
      'BAD_CHECKSUM',
      `the gzip member at offset ${start} fails its CRC-32; the file is damaged, fetch it again`,
    );
  }
}

/**
 * Feeds `engine` until its deflate stream ends, and gives back what of the last chunk lies after it. When reading fails,
 * the engine fails with that error.
 */
async function feed(engine: zlib.InflateRaw, reader: ChunkReader): Promise<Buffer> {
  let closed = (): void => undefined;
  engine.once('close', () => closed());
  let fed = 0;
  try {
    for (let chunk = await reader.next(); !engine.destroyed; chunk = await reader.next()) {
      if (chunk === undefined) {
        engine.end();
        break;
      }
      const bytes = chunk;
      fed += bytes.length;
      await new Promise<void>((resolve) => {
        closed = resolve;
        engine.write(bytes, () => resolve());
      });
      // The engine takes all of a chunk, unless the deflate stream ends in it or before it.
      const unused = fed - engine.bytesWritten;
      if (unused > 0) return bytes.subarray(bytes.length - unused);
    }
  } catch (error) {
    engine.destroy(error instanceof Error ? error : new Error(String(error)));
  }
  return Buffer.alloc(0);
}

/** What the reader of an image should hear of a failure of zlib's; any other failure as it is. */
function explainInflate(failure: unknown, start: number, reader: ChunkReader): unknown {
  const code = codeOf(failure);
  if (code === 'Z_BUF_ERROR') return truncated('its data', reader);
  if (code?.startsWith('Z_') !== true) return failure;
  return new ImageError(
    'BAD_CHECKSUM',
    `the gzip data after offset ${start} is damaged (${messageOf(failure)}); fetch the file again`,
    { cause: failure },
  );
}

/** The bytes that end a gzip member whose deflate blocks were all flushed: an empty final block, CRC-32, size (RFC 1952 §2.3.1). */
export function encodeEnd(crc: number, size: number): Buffer {
  const end = Buffer.alloc(10);
  end[0] = 0x03;
  end.writeUInt32LE(crc >>> 0, 2);
  end.writeUInt32LE(size % 2 ** 32, 6);
  return end;
}
