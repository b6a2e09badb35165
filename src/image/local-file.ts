import { createReadStream } from 'node:fs';
import { codeOf } from '../errors.js';
import { ImageError } from './errors.js';

const READ_SIZE = 1 << 20;

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not read it; give it the right to',
  EPERM: 'this user may not read it; give it the right to',
  ENOENT: 'no such file; it may just have been removed',
  EISDIR: 'a directory; name a file',
  EIO: 'the disk failed to read it; look at the kernel log',
};

/** The bytes of a file outside the store, in chunks of at most 1 MiB. Throws ImageError UNREADABLE, which names it. */
export async function* readLocalFile(path: string | Buffer): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: READ_SIZE }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** What the file system said against reading the file or directory at `path`. */
export function unreadable(path: string | Buffer, cause: unknown): ImageError {
  const code = codeOf(cause) ?? 'unknown error';
  return new ImageError('UNREADABLE', `${path.toString()}: ${reasons[code] ?? `cannot be read (${code})`}`, {
    cause,
  });
}
