import { chmod, copyFile, lstat, mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../errors.js';
import { ImageError } from '../../image/errors.js';
import { noAccess } from '../../repo/files.js';
import { ScratchBlobs } from '../../store/scratch-blobs.js';
import { OsimageError } from '../errors.js';
import type { CreateConfigs } from './configs/types.js';
import { templateEdits } from './root-edits.js';

/** The template trees of layers. */
export type TemplateTrees = Pick<CreateConfigs, 'dist' | 'isoTemplates' | 'installImageTemplates'>;

/**
 * Copies the templates of the install tree into `medium`, lowest first, dotfiles and all, and reads those of the root file
 * system as they will be read. A link becomes what it leads to, which must lie in the checkout or layer that the tree is of:
 * what is copied is served to everybody. Throws OsimageError BAD_SOURCE, ImageError BAD_LAYER, UNREADABLE, RepoError NO_ACCESS.
 */
export async function layTemplates(trees: TemplateTrees, medium: string, work: string): Promise<void> {
  if (trees.isoTemplates.length === 0)
    throw new OsimageError(
      'BAD_SOURCE',
      `no templates/iso/${trees.dist} in the layers: nothing says what the medium's menus are; add it, or name a layer that has it first`,
    );
  for (const directory of trees.isoTemplates) {
    const layer = await reached(path.resolve(directory, '../../..'));
    await copyEntry({ place: directory, target: medium, layer, above: [] });
  }
  const scratch = path.join(work, 'templates');
  await mkdir(scratch);
  const blobs = await ScratchBlobs.in(scratch);
  try {
    for (const directory of trees.installImageTemplates) await templateEdits(directory, blobs);
  } finally {
    await blobs.close();
    await rm(scratch, { recursive: true });
  }
}

interface Copied {
  readonly place: string;
  readonly target: string;
  readonly layer: string; // the real path that nothing may lead out of
  readonly above: readonly string[]; // real paths of the directories that it lies in
}

async function copyEntry({ place, target, layer, above }: Copied): Promise<void> {
  const real = await reached(place);
  if (real !== layer && !real.startsWith(layer.endsWith('/') ? layer : `${layer}/`))
    throw unfit(place, `leads to ${real}, out of ${layer}, and would be served; put a copy in its place`);
  const info = await stat(real);
  if (info.isDirectory()) {
    if (above.includes(real)) throw unfit(place, `leads back to ${real}, which it lies in; remove it`);
    await makeDirectory(place, target);
    for (const name of await listed(real))
      await copyEntry({
        ...{ place: path.join(place, name), target: path.join(target, name) },
        ...{ layer, above: [...above, real] },
      });
  } else if (info.isFile()) {
    if ((await kindOf(target)) === 'directory')
      throw unfit(place, 'is a file, and a directory in a lower layer’s templates; rename one of them');
    try {
      await rm(target, { force: true }); // a checkout’s file may be read-only
      await copyFile(real, target);
      await chmod(target, (info.mode & 0o111) === 0 ? 0o644 : 0o755);
    } catch (error) {
      throw noAccess(place, error);
    }
  } else throw unfit(place, 'is a device, pipe or socket; templates are files and directories, remove it');
}

async function makeDirectory(place: string, target: string): Promise<void> {
  if ((await kindOf(target)) === 'other')
    throw unfit(place, 'is a directory, and a file in a lower layer’s templates; rename one of them');
  await mkdir(target, { recursive: true });
}

async function kindOf(target: string): Promise<'directory' | 'other' | undefined> {
  const info = await lstat(target).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (info === undefined) return undefined;
  return info.isDirectory() ? 'directory' : 'other';
}

async function reached(place: string): Promise<string> {
  return realpath(place).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ELOOP')
      throw unfit(place, 'is a link that leads nowhere; remove it');
    throw noAccess(place, error);
  });
}

async function listed(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw noAccess(directory, error);
  });
  return names.sort();
}

function unfit(place: string, why: string): ImageError {
  return new ImageError('BAD_LAYER', `${place}: ${why}`);
}
