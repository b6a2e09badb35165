import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { collect } from '../chunks.js';
import { ImageError } from '../errors.js';
import type { FilterProgram } from '../filter.js';
import { readLocalFile } from '../local-file.js';
import { filterThrough } from '../whole/filtering.js';

/** Names below lib/modules/ and lib/firmware/, at any depth, as one pattern. */
const WANTED = '*lib/[mf][oi][dr][um][lw][ea]*/*';
const wanted = /(^|\/)lib\/(modules|firmware)\/./;

/** What a driver package holds, unpacked for a while. */
export interface UnpackedPackage {
  readonly dir: string; // holds (usr/)lib/modules and (usr/)lib/firmware of the package
  readonly others: number; // files of the package that are neither, and are not there
}

/** Whether a file of that name is a package whose contents can be taken. */
export const isPackage = (name: string): boolean => /\.(rpm|deb|udeb)$/.test(name);

/**
 * Calls `body` with the modules and firmware of the package `file` in a directory that is gone afterwards. None of its
 * scripts is run. Throws ImageError BAD_LAYER for a package without any, MISSING_TOOL, TOOL_FAILED.
 */
export async function withUnpacked<T>(
  file: string,
  body: (found: UnpackedPackage) => Promise<T>,
): Promise<T> {
  const names = (await collect(filterThrough(bsdtar('-t'), contents(file)))).toString('latin1').split('\n');
  const files = names.filter((name) => name !== '' && !name.endsWith('/'));
  const taken = files.filter((name) => wanted.test(name));
  if (taken.length === 0) {
    throw new ImageError(
      'BAD_LAYER',
      `${file} holds nothing below lib/modules or lib/firmware; remove it from drivers/`,
    );
  }
  const dir = await mkdtemp(path.join(tmpdir(), 'rackboot-drivers-'));
  try {
    const unpack = bsdtar('-x', '-C', dir, '--no-same-owner', '--no-same-permissions', '--include', WANTED);
    await collect(filterThrough(unpack, contents(file)));
    return await body({ dir, others: files.length - taken.length });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function bsdtar(...args: readonly string[]): FilterProgram {
  return { program: 'bsdtar', args: [...args, '-f', '-'], package: 'libarchive-tools' };
}

/** The package's archive of files, in a form that bsdtar reads: an RPM as it is, of a deb its data.tar. */
function contents(file: string): AsyncIterable<Buffer> {
  if (file.endsWith('.rpm')) return readLocalFile(file);
  const data = { program: 'dpkg-deb', args: ['--fsys-tarfile', file], package: 'dpkg' };
  return filterThrough(data, nothing());
}

async function* nothing(): AsyncGenerator<Buffer> {}
