import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Digest } from '../store/digest.js';
import type { BlobWriter } from '../store/types.js';
import { isDirectory, isRegular } from './cpio/header.js';
import { ROOT } from './cpio/path.js';
import { ImageError } from './errors.js';
import { readLocalFile } from './local-file.js';
import { walkDirectory } from './walk-directory.js';

/** A file of a layer for the install tree, which HTTP and ISOs serve. */
export interface TreeFile {
  readonly path: string; // UTF-8, relative, `/`-separated
  readonly size: number; // bytes
  readonly blob?: Digest; // content of a file that is not empty
}

/** What is passed over in create-install-image's templates, and why. */
export interface PassedOver {
  readonly path: string;
  readonly why: 'menu' | 'placeholders';
}

/**
 * Every file below `root` for the install tree, stored, in order of their paths. Throws ImageError BAD_LAYER for what is
 * neither file nor directory, and for names that are not UTF-8.
 */
export async function readTreeFiles(root: string, writer: BlobWriter): Promise<TreeFile[]> {
  return (await readTree(root, writer, () => Promise.resolve(undefined))).files;
}

/** The same of templates, without menus, which are made anew of the boot entries, and without what has places to fill. */
export async function readTreeTemplates(
  root: string,
  writer: BlobWriter,
): Promise<{ readonly files: readonly TreeFile[]; readonly passedOver: readonly PassedOver[] }> {
  return readTree(root, writer, async (name, place, size) => {
    if (MENU.test(name)) return 'menu';
    const hasPlaces = size <= MAX_TEMPLATE && PLACE.test((await readFile(place)).toString('latin1'));
    return hasPlaces ? 'placeholders' : undefined;
  });
}

/** create-iso: the menus that boot arguments are put into. */
const MENU = /^boot\/isolinux\/isolinux\.cfg$|^[^/]+\/[^/]+\/grub[^/]*\.cfg$/;
const PLACE = /@@[A-Z0-9_]+@@/;
const MAX_TEMPLATE = 64 * 1024; // bytes

async function readTree(
  root: string,
  writer: BlobWriter,
  leaves: (name: string, place: Buffer, size: number) => Promise<PassedOver['why'] | undefined>,
): Promise<{ files: TreeFile[]; passedOver: PassedOver[] }> {
  const files: TreeFile[] = [];
  const passedOver: PassedOver[] = [];
  for await (const { path: found, place, info } of walkDirectory(root)) {
    if (found === ROOT || isDirectory(Number(info.mode))) continue;
    const name = Buffer.from(found, 'latin1').toString('utf8');
    if (!isRegular(Number(info.mode))) {
      throw new ImageError(
        'BAD_LAYER',
        `${place.toString()}: files for an install tree are regular files, as they are fetched by HTTP; put a copy in its place`,
      );
    }
    if (name.includes('\uFFFD') || /[\p{Cc}\\]/u.test(name)) {
      throw new ImageError(
        'BAD_LAYER',
        `${path.join(root, JSON.stringify(name))}: no name that a URL and an ISO can bear; rename it`,
      );
    }
    const why = await leaves(name, place, Number(info.size));
    if (why !== undefined) {
      passedOver.push({ path: name, why });
      continue;
    }
    if (info.size === 0n) files.push({ path: name, size: 0 });
    else {
      const { digest, size } = await writer.putStream(readLocalFile(place));
      files.push({ path: name, size, blob: digest });
    }
  }
  return {
    files: files.sort((a, b) => (a.path < b.path ? -1 : 1)),
    passedOver: passedOver.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}
