import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '../../errors.js';
import { ImageError } from '../errors.js';
import type { ReadableFile } from './contents.js';

/** A copy of a file on disk that has no name any more: it goes when it is closed, however this process ends. */
export interface Spool {
  readonly handle: FileHandle;
  readonly size: number; // bytes
  readonly path: string; // for programs that this process starts
  close(): Promise<void>;
}

/**
 * Copies `file` to where it can be read at any offset: below TMPDIR. Throws ImageError TOO_LARGE when it gives more than
 * `maxSize` bytes or there is no space for it.
 */
export async function spoolFile(file: ReadableFile, maxSize: number): Promise<Spool> {
  const handle = await openNameless();
  try {
    let size = 0;
    for await (const chunk of file.read()) {
      if (size + chunk.length > maxSize) {
        throw new ImageError(
          'TOO_LARGE',
          `${file.where} gives more than ${maxSize} bytes; extract it and look into the file`,
        );
      }
      await handle.writeFile(chunk);
      size += chunk.length;
    }
    return {
      handle,
      size,
      path: `/proc/${process.pid}/fd/${handle.fd}`,
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    if (codeOf(error) !== 'ENOSPC') throw error;
    throw new ImageError(
      'TOO_LARGE',
      `${file.where}: no space below ${tmpdir()} to copy its ${file.size} bytes to; name a directory that has it with TMPDIR`,
      { cause: error },
    );
  }
}

async function openNameless(): Promise<FileHandle> {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-'));
  try {
    return await open(join(directory, 'spool'), 'wx+', 0o600);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
