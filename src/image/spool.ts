import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '../errors.js';
import { ImageError } from './errors.js';

/** A copy of a file on disk that has no name any more: it goes when it is closed, however this process ends. */
export interface Spool {
  readonly handle: FileHandle;
  readonly size: number; // bytes
  readonly path: string; // for programs that this process starts
  /** All of its bytes. */
  read(): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

const CHUNK = 1 << 20;

/**
 * Copies `bytes`, which `where` names, to where it can be read at any offset: below TMPDIR. Throws ImageError TOO_LARGE when it gives more than
 * `maxSize` bytes or there is no space for it.
 */
export async function spoolFile(
  bytes: AsyncIterable<Buffer>,
  maxSize: number,
  where: string,
): Promise<Spool> {
  const spool = await withDirectory((directory) => open(join(directory, 'spool'), 'wx+', 0o600));
  try {
    let size = 0;
    for await (const chunk of bytes) {
      size += chunk.length;
      if (size > maxSize) {
        throw new ImageError(
          'TOO_LARGE',
          `${where} gives more than ${maxSize} bytes; extract it and look into the file`,
        );
      }
      await spool.writeFile(chunk);
    }
    return asSpool(spool, size);
  } catch (error) {
    await spool.close();
    if (codeOf(error) !== 'ENOSPC') throw error;
    throw new ImageError(
      'TOO_LARGE',
      `${where}: no space below ${tmpdir()} to copy it to; name a directory that has it with TMPDIR`,
      { cause: error },
    );
  }
}

/** What `write` leaves in the file whose name it is given, and which does not exist yet. */
export async function spoolOutput(write: (path: string) => Promise<void>): Promise<Spool> {
  const file = await withDirectory(async (directory) => {
    const path = join(directory, 'spool');
    await write(path);
    return open(path, 'r');
  });
  return asSpool(file, (await file.stat()).size);
}

function asSpool(handle: FileHandle, size: number): Spool {
  return {
    handle,
    size,
    path: `/proc/${process.pid}/fd/${handle.fd}`,
    read: () =>
      handle.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK }) as AsyncIterable<Buffer>,
    close: () => handle.close(),
  };
}

/** Calls `body` with a new directory of this user's, which is gone afterwards. */
async function withDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), `rackboot-spool-${process.pid}-`));
  try {
    return await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
