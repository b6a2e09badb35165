import { closeSync, constants, createReadStream, fstatSync, openSync, readFileSync } from 'node:fs';
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

/** Files up to this size are read at once and without the thread pool, which compresses at the same time. */
const SMALL = 256 * 1024;

/**
 * The bytes of a file outside the store, in chunks of at most 1 MiB. For commands, not for servers: a small file is read
 * while nothing else runs. Throws ImageError UNREADABLE, which names it.
 */
export async function* readLocalFile(path: string | Buffer): AsyncGenerator<Buffer> {
  try {
    const small = readSmall(path);
    if (small === undefined)
      yield* createReadStream(path, { highWaterMark: READ_SIZE }) as AsyncIterable<Buffer>;
    else if (small.length > 0) yield small;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The bytes of a small file; undefined for a larger one, and for what does not say how large it is. */
function readSmall(path: string | Buffer): Buffer | undefined {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = fstatSync(file);
    return info.isFile() && info.size > 0 && info.size <= SMALL ? readFileSync(file) : undefined;
  } finally {
    closeSync(file);
  }
}

/** A time of bigint stats in whole seconds, as archives have it: the second that it lies in. */
export const wholeSeconds = (nanoseconds: bigint): number => {
  const seconds = nanoseconds / 1_000_000_000n;
  return Number(nanoseconds < 0n && nanoseconds % 1_000_000_000n !== 0n ? seconds - 1n : seconds);
};

/** What the file system said against reading the file or directory at `path`. */
export function unreadable(path: string | Buffer, cause: unknown): ImageError {
  const code = codeOf(cause) ?? 'unknown error';
  return new ImageError('UNREADABLE', `${path.toString()}: ${reasons[code] ?? `cannot be read (${code})`}`, {
    cause,
  });
}
