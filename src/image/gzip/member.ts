import zlib from 'node:zlib';
import type { ChunkReader } from '../chunks.js';
import { ImageError } from '../errors.js';

/** ID1 ID2 of a gzip member (RFC 1952 §2.3.1). */
export const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
/** The header we write: deflate, no flags, no time, made on Unix. */
export const PLAIN_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);

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

/** Takes a gzip member's header (RFC 1952 §2.3) and gives it back as it stands. Throws ImageError BAD_MAGIC, BAD_HEADER, TRUNCATED. */
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
  if ((flags & FHCRC) !== 0) await take(2);
  return Buffer.concat(parts);
}

/**
 * The data of one gzip member whose header was taken, in chunks; checks the trailer (CRC-32 and size) and leaves
 * `reader` after it. Throws ImageError TRUNCATED or BAD_CHECKSUM.
 */
export async function* inflateMember(reader: ChunkReader): AsyncGenerator<Buffer> {
  const start = reader.position;
  const engine = zlib.createInflateRaw({ chunkSize: 256 * 1024 });
  let recent: Buffer[] = []; // the chunks fed last: the engine may leave the end of them
  let fed = 0;
  let failure: Error | undefined;
  const ended = new Promise<void>((resolve) => {
    engine.once('end', resolve);
    engine.once('close', resolve);
    engine.once('error', (error) => {
      failure = error;
      resolve();
    });
  });
  let finished = false;
  void ended.then(() => (finished = true));
  const feeding = (async () => {
    while (!finished) {
      const chunk = await reader.next();
      if (chunk === undefined) {
        engine.end();
        return;
      }
      recent = [...recent.slice(-2), chunk];
      fed += chunk.length;
      const written = new Promise<void>((resolve) => {
        engine.write(chunk, () => resolve());
      });
      await Promise.race([written, ended]);
    }
  })();
  let crc = 0;
  let size = 0;
  try {
    for await (const chunk of engine as AsyncIterable<Buffer>) {
      crc = zlib.crc32(chunk, crc);
      size += chunk.length;
      yield chunk;
    }
  } catch (error) {
    failure ??= error as Error;
  } finally {
    finished = true;
    engine.destroy();
    await feeding.catch((error: unknown) => (failure ??= error as Error));
  }
  if (failure !== undefined) throw explainInflate(failure, start, reader);
  const unused = fed - engine.bytesWritten;
  const tail = Buffer.concat(recent);
  reader.giveBack(tail.subarray(tail.length - unused));
  const trailer = await reader.take(8);
  if (trailer.length < 8) throw truncated('its trailer', reader);
  if (trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== size % 2 ** 32) {
    throw new ImageError(
      'BAD_CHECKSUM',
      `the gzip member at offset ${start} fails its CRC-32; the file is damaged, fetch it again`,
    );
  }
}

function explainInflate(failure: Error, start: number, reader: ChunkReader): Error {
  const code = 'code' in failure ? failure.code : undefined;
  if (code === 'Z_BUF_ERROR') return truncated('its data', reader);
  if (typeof code === 'string' && code.startsWith('Z_')) {
    return new ImageError(
      'BAD_CHECKSUM',
      `the gzip data after offset ${start} is damaged (${failure.message}); fetch the file again`,
      { cause: failure },
    );
  }
  return failure;
}

/** The bytes that end a gzip member whose deflate blocks were all flushed: an empty final block, CRC-32, size (RFC 1952 §2.3.1). */
export function encodeEnd(crc: number, size: number): Buffer {
  const end = Buffer.alloc(10);
  end[0] = 0x03;
  end.writeUInt32LE(crc >>> 0, 2);
  end.writeUInt32LE(size % 2 ** 32, 6);
  return end;
}
