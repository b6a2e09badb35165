import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, readdir, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf, messageOf, RackbootError } from '../../errors.js';
import { OsimageError } from '../../osimage/errors.js';
import { configFile, type Site } from '../../site/site.js';
import { sha256 } from '../../store/digest.js';
import { readPieces, type ExtentMap } from '../../store/extents.js';
import { isRunning, thisProcess } from '../../store/process.js';
import type { BlobReader, Piece } from '../../store/types.js';
import { writePieces } from '../../store/write-pieces.js';

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
  const whole = await behindLinks(file);
  const parent = await writableDirectory(path.dirname(whole)).catch((error: unknown) => {
    throw cannotWrite(file, error);
  });
  const there = await stat(file).catch(() => undefined);
  if (there?.isDirectory() === true) {
    throw new OsimageError('BAD_SOURCE', `${file}: is a directory; name a file in it`);
  }
  if (there !== undefined && !there.isFile()) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${file}: is no regular file; write to one, then copy it there with dd`,
    );
  }
  const root = await realpath(site.dir);
  const own = path.relative(root, path.join(parent, path.basename(whole)));
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

/** Links followed before a path counts as a loop (path_resolution(7)). */
const MAX_LINKS = 40;

/** The file that writing to `file` would make or change: what a symbolic link there leads to, also to nothing yet. */
async function behindLinks(file: string): Promise<string> {
  let place = file;
  for (let links = 0; links < MAX_LINKS; links++) {
    const target = await readlink(place).catch(() => undefined);
    if (target === undefined) return place;
    place = path.resolve(await realpath(path.dirname(place)), target);
  }
  throw new OsimageError('BAD_SOURCE', `${file}: is a loop of symbolic links; choose another place`);
}

/** What a file is called while this process writes it; says which process that is. */
function partialName(name: string): string {
  const { pid, started } = thisProcess();
  return `.${name}.${hostTag()}-${pid}-${started}.${randomBytes(4).toString('hex')}`;
}

/** Where PIDs mean what they mean here. */
function hostTag(): string {
  return sha256(thisProcess().host).slice(0, 8);
}

/** Removes what processes of this host that are gone left behind when they wrote the file `whole`. */
async function removeLeftovers(whole: string): Promise<void> {
  const [dir, prefix] = [path.dirname(whole), `.${path.basename(whole)}.${hostTag()}-`];
  const { host } = thisProcess();
  for (const name of (await readdir(dir)).filter((name) => name.startsWith(prefix))) {
    const [, pid, started] = /^(\d+)-(\d*)\.[0-9a-f]{8}$/.exec(name.slice(prefix.length)) ?? [];
    if (pid === undefined || started === undefined) continue;
    if (isRunning({ host, pid: Number(pid), started }) === false)
      await rm(path.join(dir, name), { force: true });
  }
}

/**
 * Writes `map` to `file`, or where it links to, so that it appears whole or not at all. Throws OsimageError BAD_SOURCE,
 * StoreError.
 */
export async function writeWhole(
  file: string,
  map: ExtentMap,
  blobs: BlobReader,
  onBytes: (done: number) => void,
  mode = 0o666, // before the umask
): Promise<void> {
  await writeBytes(file, readPieces(map, blobs, 0, map.size), onBytes, mode, map.size);
}

/**
 * Writes `bytes` to `file`, or where it links to, so that it appears whole or not at all. Throws OsimageError BAD_SOURCE,
 * and what `bytes` throws.
 */
export async function writeBytes(
  file: string,
  bytes: AsyncIterable<Piece>,
  onBytes: (done: number) => void,
  mode = 0o666, // before the umask
  size?: number, // of `bytes`, where it is known
): Promise<void> {
  const whole = await behindLinks(file);
  const temporary = path.join(path.dirname(whole), partialName(path.basename(whole)));
  try {
    await removeLeftovers(whole);
    const handle = await open(temporary, 'wx', mode);
    try {
      await writePieces(handle, bytes, size, onBytes);
    } finally {
      await handle.close();
    }
    await rename(temporary, whole);
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
