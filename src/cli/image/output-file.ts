import { randomBytes } from 'node:crypto';
import { constants, createWriteStream } from 'node:fs';
import { access, open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { codeOf, messageOf, RackbootError } from '../../errors.js';
import { OsimageError } from '../../osimage/errors.js';
import { configFile, type Site } from '../../site/site.js';
import { readRange, type ExtentMap } from '../../store/extents.js';
import type { BlobReader } from '../../store/types.js';

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'that file system is read-only',
  ENOSPC: 'that disk is full',
  EDQUOT: 'that disk is full for this user',
  EFBIG: 'a file cannot be that large there',
  ENOENT: 'there is no such directory',
  ENOTDIR: 'that is below a file',
};

/**
 * Refuses a place where no file can be written, before any work is done for it: no directory, a device, a file of the
 * site's own. Throws OsimageError BAD_SOURCE.
 */
export async function checkOutput(file: string, site: Site): Promise<void> {
  const parent = await writableDirectory(path.dirname(file)).catch((error: unknown) => {
    throw cannotWrite(file, error);
  });
  const there = await stat(file).catch(() => undefined);
  if (there?.isDirectory() === true) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${file}: is a directory; name a file in it, such as ${path.join(file, 'image.iso')}`,
    );
  }
  if (there !== undefined && !there.isFile()) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${file}: is no regular file; write the ISO to one, then copy it there with dd`,
    );
  }
  const whole = path.join(parent, path.basename(file));
  const root = await realpath(site.dir);
  const own = path.relative(root, whole);
  if (/^(?:store\/|state\.db)/.test(own) || own === configFile) {
    throw new OsimageError('BAD_SOURCE', `${file}: is the site's own; choose a place outside of ${site.dir}`);
  }
}

/** The real path of `dir`, if files can be made in it. Throws what the file system says. */
async function writableDirectory(dir: string): Promise<string> {
  await stat(`${dir}/`); // the slash makes a file fail with ENOTDIR
  await access(dir, constants.W_OK | constants.X_OK);
  return realpath(dir);
}

/** Writes `map` to `file` so that it appears whole or not at all. Throws OsimageError BAD_SOURCE, StoreError. */
export async function writeWhole(
  file: string,
  map: ExtentMap,
  blobs: BlobReader,
  onBytes: (done: number) => void,
): Promise<void> {
  const temporary = path.join(
    path.dirname(file),
    `.${path.basename(file)}.${randomBytes(4).toString('hex')}`,
  );
  try {
    let done = 0;
    await pipeline(
      readRange(map, blobs, 0, map.size),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          yield chunk;
          done += chunk.length;
          onBytes(done);
        }
      },
      createWriteStream(temporary, { flags: 'wx' }),
    );
    const handle = await open(temporary, 'r+');
    await handle.sync();
    await handle.close();
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error instanceof RackbootError ? error : cannotWrite(file, error);
  }
}

function cannotWrite(file: string, cause: unknown): OsimageError {
  const reason = reasons[codeOf(cause) ?? ''] ?? messageOf(cause);
  return new OsimageError(
    'BAD_SOURCE',
    `${file}: cannot be written: ${reason}; nothing was left there, choose another place`,
    {
      cause,
    },
  );
}
