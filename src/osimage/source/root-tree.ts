import zlib from 'node:zlib';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { encodeHeader, encodeTrailer, newcTime, padding4, TRAILER_NAME } from '../../image/cpio/header.js';
import { pathToText } from '../../image/cpio/path.js';
import { ImageError } from '../../image/errors.js';
import { exlistKeeps } from '../../image/exlist.js';
import { alterEntries, newestOf } from '../../image/unpacked/alter.js';
import { gatherEntries, type GatheredEntry } from '../../image/unpacked/gather.js';
import { ALWAYS_OUT } from '../xcat/pack/prepare.js';
import type { SourceFile } from './source.js';

/** What a gzip member begins with whose compressor was told nothing: deflate, no flags, no time, made on Unix (RFC 1952 §2.3). */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);

/**
 * The tree that packimage packs, `rootimg/` as genimage leaves it, as the root image that it would make: a file at `path`
 * of the media, cpio in gzip. It is stored there, not compressed: reading it in compresses it. Throws ImageError
 * UNREADABLE.
 */
export async function rootTree(directory: string, path: string): Promise<SourceFile> {
  const gathered = await gatherEntries(directory, { placed: new Map(), record: undefined });
  const keeps = exlistKeeps({ exclude: ALWAYS_OUT, include: [] });
  const entries = alterEntries(gathered, [{ op: 'thin', keeps, from: directory }], newestOf(gathered));
  const size = entries.reduce((sum, { header }) => sum + header.size, 0);
  return { path, size, where: directory, read: () => inGzip(newcOf(entries)) };
}

/** `entries` as a newc archive. Throws ImageError TRUNCATED, UNSAFE_PATH, and what encodeHeader throws. */
async function* newcOf(entries: readonly GatheredEntry[]): AsyncGenerator<Buffer> {
  for (const { rawName, header, content, path } of entries) {
    if (rawName === TRAILER_NAME) {
      throw new ImageError(
        'UNSAFE_PATH',
        `/${TRAILER_NAME}: this name ends a cpio archive, and what came after it would be lost; give the file another name`,
      );
    }
    yield encodeHeader({ ...header, mtime: newcTime(header.mtime) }, rawName);
    let written = 0;
    for await (const chunk of content.read()) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== header.size) {
      throw new ImageError(
        'TRUNCATED',
        `${pathToText(path)}: ${written} bytes were read where ${header.size} were announced; the file changed while it was read, try again`,
      );
    }
    yield Buffer.alloc(padding4(header.size));
  }
  yield encodeTrailer();
}

/** `plain` as one member of gzip. */
async function* inGzip(plain: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let check = 0;
  let size = 0;
  const deflate = zlib.createDeflateRaw({ level: 0 });
  const summed = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of plain) {
      check = zlib.crc32(chunk, check);
      size += chunk.length;
      yield chunk;
    }
  };
  yield HEADER;
  const feeding = pipeline(Readable.from(summed(), { objectMode: false }), deflate);
  feeding.catch(() => undefined); // it fails the reading below as well
  for await (const chunk of deflate) yield chunk as Buffer;
  await feeding;
  const end = Buffer.alloc(8);
  end.writeUInt32LE(check, 0);
  end.writeUInt32LE(size % 2 ** 32, 4);
  yield end;
}
