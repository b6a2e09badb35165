import { S_IFDIR, S_IFREG } from '../../image/cpio/header.js';
import { encodeTarHead } from '../../image/tar/encode.js';
import { paddingOf } from '../../image/tar/header.js';
import { OsimageError } from '../errors.js';
import { gzipStream } from './gzip-stream.js';

/** A file of a bundle, or a directory, whose path ends in a slash. */
export interface Member {
  readonly path: string;
  readonly mode: number; // permission bits
  readonly size: number; // bytes
  read(): AsyncIterable<Buffer> | Iterable<Buffer>;
}

/** What GNU tar pads archives to: 20 blocks. */
const RECORD = 10_240;

/** A directory, for those who unpack as another user. */
export const directory = (path: string, mode = 0o755): Member => ({ path, mode, size: 0, read: () => [] });

/** A file whose bytes are at hand. */
export const literal = (path: string, bytes: Buffer, mode = 0o644): Member => ({
  path,
  mode,
  size: bytes.length,
  read: () => [bytes],
});

/** The bytes of `members` with what stands around them. */
export const plainSize = (members: readonly Member[]): number =>
  members.reduce((sum, { size }) => sum + 512 + size + paddingOf(size), 0);

/**
 * A gzipped tar archive of `members`, all root's and of `time` (seconds). `onBytes` hears of the plain bytes. Throws
 * OsimageError BAD_SOURCE for a file that is no longer of its size.
 */
export const gzippedTar = (
  members: readonly Member[],
  time: number,
  onBytes: (done: number, member: string) => void = () => undefined,
): AsyncGenerator<Buffer> => gzipStream(tarOf(members, time, onBytes));

async function* tarOf(
  members: readonly Member[],
  time: number,
  onBytes: (done: number, member: string) => void,
): AsyncGenerator<Buffer> {
  let written = 0;
  for (const member of members) {
    const { path, mode, size } = member;
    const rawName = Buffer.from(path).toString('latin1');
    const header = { ...BLANK, mode: (path.endsWith('/') ? S_IFDIR : S_IFREG) | mode, mtime: time, size };
    const head = encodeTarHead({ header, rawName }, undefined);
    yield head;
    written += head.length;
    let length = 0;
    for await (const chunk of member.read()) {
      yield chunk;
      length += chunk.length;
      onBytes((written += chunk.length), path);
    }
    if (length !== size) {
      throw new OsimageError(
        'BAD_SOURCE',
        `${path}: changed while it was read (${length} bytes, ${size} before); export it again when it rests`,
      );
    }
    yield Buffer.alloc(paddingOf(size));
    written += paddingOf(size);
  }
  const end = 2 * 512;
  yield Buffer.alloc(end + ((RECORD - ((written + end) % RECORD)) % RECORD));
}

const BLANK = {
  ...({ magic: '070701', ino: 0, uid: 0, gid: 0, nlink: 1, check: 0 } as const),
  ...{ devMajor: 0, devMinor: 0, rdevMajor: 0, rdevMinor: 0 },
};
