import { mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { codeOf, messageOf } from '../errors.js';
import { SiteError } from './errors.js';
import { renderDefaultConfig } from './render.js';
import { configFile, openSite, type Site } from './site.js';

const partialFile = `${configFile}.new`;
const ownNames: readonly string[] = ['layers', 'store', partialFile];

/**
 * Makes a site in `dir`: the directory (mode 0700) when it is missing, layers/, store/, and last a rackboot.yaml that
 * shows every key. Throws SiteError SITE_EXISTS, NOT_EMPTY when `dir` holds anything else, NO_ACCESS when it cannot be
 * written. Finishes what an interrupted run of it began.
 */
export async function initSite(dir: string): Promise<Site> {
  const root = resolve(dir);
  try {
    await makeDirectory(root);
    await refuseOccupied(dir, root);
    for (const name of ['layers', 'store']) await mkdir(join(root, name), { recursive: true, mode: 0o700 });
    await writeDurably(root, renderDefaultConfig());
  } catch (error) {
    throw error instanceof SiteError ? error : notWritable(dir, error);
  }
  return openSite(root);
}

/** Makes `path` and its missing parents. Node's own recursive mkdir says ENOENT where the kernel said EROFS. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectory(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

async function refuseOccupied(dir: string, root: string): Promise<void> {
  const names = await readdir(root);
  if (names.includes(configFile)) {
    throw new SiteError(
      'SITE_EXISTS',
      `${dir}: already is a rackboot site; change it by editing ${join(dir, configFile)}`,
    );
  }
  const foreign = names.find((name) => !ownNames.includes(name));
  if (foreign !== undefined) {
    throw new SiteError(
      'NOT_EMPTY',
      `${dir}: not empty (it holds ${foreign}); give an empty or a new directory.`,
    );
  }
}

async function writeDurably(root: string, text: string): Promise<void> {
  const partial = join(root, partialFile);
  const file = await open(partial, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, join(root, configFile));
  const directory = await open(root);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function notWritable(dir: string, cause: unknown): SiteError {
  switch (codeOf(cause)) {
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new SiteError(
        'NO_ACCESS',
        `${dir}: no site can be made here: it is read-only; give a writable directory.`,
        { cause },
      );
    case 'ENOTDIR':
    case 'EEXIST':
      return new SiteError(
        'NO_ACCESS',
        `${dir}: no site can be made here: a file is in the way; give a directory.`,
        { cause },
      );
    case 'ENOSPC':
      return new SiteError(
        'NO_ACCESS',
        `${dir}: no site can be made here: the disk is full; free some space.`,
        { cause },
      );
    default:
      return new SiteError('NO_ACCESS', `${dir}: no site can be made here: ${messageOf(cause)}`, { cause });
  }
}
