import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { codeOf, messageOf } from '../../errors.js';
import { ChunkReader } from '../../image/chunks.js';
import { isDirectory, isRegular } from '../../image/cpio/header.js';
import type { ScannedEntry } from '../../image/cpio/scanner.js';
import { ImageError } from '../../image/errors.js';
import { inflateMember, takeHeader } from '../../image/gzip/member.js';
import { BLOCK, beginsTar } from '../../image/tar/header.js';
import { TarScanner } from '../../image/tar/scanner.js';
import { Growth, type UnpackLimits } from '../../image/unpack-limits.js';
import { OsimageError } from '../errors.js';
import { localFile } from '../source/directory.js';
import type { SourceFile } from '../source/source.js';

/** The files of a bundle on disk, in order of their paths, and what of it they are not. */
export interface UnpackedBundle {
  readonly files: readonly SourceFile[];
  readonly notes: readonly string[];
}

/** Where an entry's data goes. */
interface Target {
  readonly entry: ScannedEntry;
  readonly path: string;
  readonly onDisk: string;
}

/**
 * Unpacks the tar archive in `source`, gzipped or not, into the empty directory `into`; files there have names of our
 * own. `where` names it. Throws OsimageError BAD_BUNDLE for what no bundle holds, ImageError naming it when it is
 * damaged or cut short.
 */
export async function unpackBundle(
  source: AsyncIterable<Buffer>,
  into: string,
  where: string,
  limits: UnpackLimits,
): Promise<UnpackedBundle> {
  const reader = new ChunkReader(source);
  const growth = new Growth(reader, limits);
  const writing = new Unpacking(into, where, growth);
  try {
    for await (const chunk of plainOf(reader)) {
      growth.add(chunk.length);
      await writing.push(chunk); // to the end of the stream, which tells whether all of it is whole
    }
    return writing.finish();
  } catch (error) {
    if (error instanceof ImageError)
      throw new ImageError(error.code, `${where}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    await writing.close();
    await reader.close();
  }
}

/** The plain bytes of a tar archive, unpacked where it is gzipped. */
export async function* plainOf(reader: ChunkReader): AsyncGenerator<Buffer> {
  const start = await reader.peek(2);
  if (start[0] === 0x1f && start[1] === 0x8b) {
    await takeHeader(reader);
    yield* inflateMember(reader);
    return;
  }
  if (!beginsTar(await reader.peek(BLOCK)))
    throw new ImageError('BAD_MAGIC', 'neither a tar archive nor a gzipped one; give what imgexport wrote');
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) yield chunk;
}

/** The path of an entry in its bundle: without `./` before it and a slash behind it; '' is the top. */
export const bundlePath = (rawName: string): string =>
  Buffer.from(rawName, 'latin1')
    .toString('utf8')
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');

/** Tells the data of a tar archive's files apart, and writes it. */
class Unpacking {
  readonly #into: string;
  readonly #where: string;
  readonly #growth: Growth;
  readonly #scanner: TarScanner;
  readonly #files = new Map<string, SourceFile>();
  readonly #notes: string[] = [];
  #targets: Target[] = []; // whose data is yet to come
  #handle: FileHandle | undefined; // of the first of them
  #position = 0;

  constructor(into: string, where: string, growth: Growth) {
    this.#into = into;
    this.#where = where;
    this.#growth = growth;
    this.#scanner = new TarScanner(0, {
      onEntry: (entry) => this.#begin(entry),
      onTrailer: () => undefined,
    });
  }

  /** Takes the next bytes; those behind the archive's end are passed over. */
  async push(chunk: Buffer): Promise<void> {
    const taken = this.#scanner.push(chunk);
    const start = this.#position;
    this.#position += taken;
    for (let [target] = this.#targets; target !== undefined; [target] = this.#targets) {
      const { dataOffset, header } = target.entry;
      const end = dataOffset + header.size;
      if (dataOffset > this.#position) break;
      this.#handle ??= await this.#create(target);
      const from = Math.max(0, dataOffset - start);
      await this.#write(this.#handle, chunk.subarray(from, Math.min(taken, end - start)));
      if (end > this.#position) break;
      await this.close();
      this.#targets.shift();
    }
  }

  finish(): UnpackedBundle {
    this.#scanner.finish();
    const files = [...this.#files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    return { files, notes: this.#notes };
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  #begin(entry: ScannedEntry): void {
    this.#growth.addEntry();
    const { header, rawName, tar } = entry;
    const name = bundlePath(rawName);
    const bad = (what: string): OsimageError =>
      new OsimageError('BAD_BUNDLE', `${this.#where}: ${JSON.stringify(name)} ${what}; export it again`);
    if (rawName.startsWith('/')) throw bad('is an absolute path there');
    if (/[\x00-\x1f\x7f]/.test(name) || name.includes('\ufffd')) throw bad('is no name of a bundle’s file');
    if (isDirectory(header.mode)) return;
    if (!isRegular(header.mode) || tar?.link !== undefined || tar?.sparse !== undefined) {
      if (!/(^|\/)extra\//.test(name)) throw bad('is no plain file, as all of a bundle are');
      this.#notes.push(`${this.#where}:/${name}: is no plain file; left out`);
      return;
    }
    if (this.#files.has(name)) throw bad('stands in it twice');
    const onDisk = path.join(this.#into, String(this.#files.size));
    const file = localFile(name, onDisk, header.size);
    this.#files.set(name, { ...file, where: `${this.#where}:/${name}` });
    this.#targets.push({ entry, path: name, onDisk });
  }

  async #create({ onDisk }: Target): Promise<FileHandle> {
    return open(onDisk, 'wx', 0o600).catch((error: unknown) => {
      throw this.#failed(error);
    });
  }

  async #write(handle: FileHandle, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await handle.write(bytes, at).catch((error: unknown) => {
        throw this.#failed(error);
      });
      at += bytesWritten;
    }
  }

  #failed(cause: unknown): OsimageError {
    const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(cause) ?? '');
    return new OsimageError(
      'BAD_BUNDLE',
      `${this.#where}: cannot be unpacked in the site (${full ? 'the disk is full' : messageOf(cause)}); make room and import it again`,
      { cause },
    );
  }
}
