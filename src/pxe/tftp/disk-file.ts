import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { codeOf } from '../../errors.js';
import type { TftpFile } from './files.js';

/** How much of a file is read at a time, in bytes. */
const READ_SIZE = 64 * 1024;

/**
 * The regular file at `path` on disk, opened; undefined when there is none. Whoever calls this has decided that the
 * path may be published: symbolic links are followed.
 */
export async function openDiskFile(path: string): Promise<TftpFile | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'ENXIO'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  const stats = await handle.stat();
  if (!stats.isFile()) {
    await handle.close();
    return undefined;
  }
  return {
    size: stats.size,
    async *read(start, end) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, end - start));
      for (let at = start; at < end;) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
        if (bytesRead === 0) return; // shorter than it was: the transfer notices
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    },
    close: () => handle.close(),
  };
}
