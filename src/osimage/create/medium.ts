import { cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf, messageOf } from '../../errors.js';
import { ImageError } from '../../image/errors.js';
import { makeGrub } from '../../image/iso/disc-grub.js';
import { makeEfiImage } from '../../image/iso/efi-boot.js';
import { buildRepository } from '../../repo/build.js';
import { checkBuilt } from '../../repo/check-build.js';
import { filesBelow, noAccess } from '../../repo/files.js';
import { signTree, unsignTree } from '../../repo/signing/sign-tree.js';
import type { Signer } from '../../repo/signing/signer.js';
import { TREEINFO } from '../../repo/treeinfo.js';
import { OsimageError } from '../errors.js';
import { addBootFiles, type BootPackages } from './boot-packages.js';
import { fillTemplate, holdsPlaceholder } from './configs/placeholders.js';
import type { CreateConfigs, PlaceholderValues } from './configs/types.js';
import type { Downloads } from './downloads.js';
import { grubWord, isGrubMenu, isMenu, withKernelWords } from './menu-words.js';

/** The medium to make: what is on an installer's ISO, but for its archive. */
export interface MediumRequest {
  readonly configs: Pick<CreateConfigs, 'isoTemplates' | 'bootArguments'>;
  readonly downloads: Downloads;
  /** Names of packages whose closure the tree holds; undefined: no packages, the installer fetches them from elsewhere. */
  readonly packages: readonly string[] | undefined;
  readonly signer: Signer | undefined; // of the tree's metadata
  readonly boot: BootPackages;
  readonly epoch: number; // seconds: of the tree's metadata and of what is made here
  readonly work: string; // scratch
  readonly onStep: (line: string) => void;
}

/** Where GRUB and its menu lie on the medium and in its FAT image (create-iso). */
const GRUB_DIRECTORY = 'EFI/xenserver';
/** What the installer is told on a medium whose metadata nobody signed. */
const UNSIGNED = 'no-repo-gpgcheck';
const NETINSTALL = 'netinstall';
/** What pulls an installed system in (create-iso). */
const PRODUCT = 'xcp-ng-deps';
/** A package that a tree has where the repositories have it: the other kernel. */
const OTHER_KERNEL = 'kernel-alt';

/**
 * Names of what the tree holds with all that they need: the product, and `extra`. Throws RepoError UNRESOLVED where that is
 * not to be had.
 */
export async function treePackages(downloads: Downloads, extra: readonly string[]): Promise<string[]> {
  const known = await downloads.known([OTHER_KERNEL]);
  const names = [...new Set([PRODUCT, ...known, ...extra])];
  await downloads.requireAll(names);
  return names;
}

/**
 * Makes a medium of templates and packages in `medium`, a directory that holds install.img, as create-iso does. Gives back
 * what is to be known of it, a line each. Throws RepoError, ImageError, OsimageError.
 */
export async function makeMedium(medium: string, request: MediumRequest): Promise<string[]> {
  const { configs, downloads, packages, epoch, work, onStep } = request;
  for (const directory of configs.isoTemplates) await copyTemplate(directory, medium);
  onStep('boot files');
  const boot = await addBootFiles(medium, request.boot, downloads, work);
  const notes = [...boot.notes];
  const full = packages !== undefined;
  const isSigned = full && request.signer !== undefined;
  const words = [...(full ? (isSigned ? [] : [UNSIGNED]) : [NETINSTALL]), ...wordsOf(configs.bootArguments)];
  await fillFiles(medium, { ...boot.branding, TIMESTAMP: `${String(epoch)}.00` }, words);
  await addEfi(medium, boot.grub, epoch, work);
  if (full) {
    onStep('packages of the tree');
    notes.push(...(await addPackages(medium, packages, request)));
    if (request.signer === undefined) {
      await unsignTree(medium);
      notes.push(
        'the tree is not signed: installers are told not to check it; sign it with signing in rackboot.yaml',
      );
    } else await signTree(medium, request.signer, { time: epoch });
  } else await rm(path.join(medium, TREEINFO), { force: true });
  return notes;
}

/** Copies a template tree over the medium, dotfiles and all; links become what they lead to. */
async function copyTemplate(directory: string, medium: string): Promise<void> {
  await cp(directory, medium, { recursive: true, force: true, dereference: true }).catch((error: unknown) => {
    if (/^ERR_FS_CP_/.test(codeOf(error) ?? ''))
      throw new ImageError(
        'BAD_LAYER',
        `${directory}: templates are files and directories, one in the place of its like; ${messageOf(error)}`,
        { cause: error },
      );
    const named = error instanceof Error && 'path' in error && typeof error.path === 'string';
    throw noAccess(named ? String(error.path) : directory, error);
  });
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** Fills .treeinfo in, and puts `words` into every menu. */
async function fillFiles(medium: string, values: PlaceholderValues, words: readonly string[]): Promise<void> {
  const names = (await readdir(medium, { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(medium, path.join(entry.parentPath, entry.name)));
  let menus = 0;
  for (const name of names.filter((name) => isMenu(name) || name === TREEINFO)) {
    const file = path.join(medium, name);
    const text = await readFile(file, 'utf8');
    const filled = holdsPlaceholder(text) ? fillTemplate({ where: name, text }, values) : text;
    await writeFile(
      file,
      isMenu(name) ? withKernelWords(filled, isGrubMenu(name) ? words.map(grubWord) : words) : filled,
    );
    menus += isMenu(name) ? 1 : 0;
  }
  if (menus > 0) return;
  throw new OsimageError(
    'BAD_SOURCE',
    'templates/iso holds no menu: the medium needs boot/isolinux/isolinux.cfg or EFI/xenserver/grub.cfg',
  );
}

/** GRUB for UEFI, beside its menu and in a FAT image that firmware starts; nothing where no menu of GRUB is. */
async function addEfi(
  medium: string,
  packaged: string | undefined,
  epoch: number,
  work: string,
): Promise<void> {
  const menu = await readFile(path.join(medium, GRUB_DIRECTORY, 'grub.cfg'), 'utf8').catch(
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (menu === undefined) return;
  const program =
    packaged === undefined ? await makeGrub(`()/${GRUB_DIRECTORY}`, '', work) : await readFile(packaged);
  await writeFile(path.join(medium, GRUB_DIRECTORY, 'grubx64.efi'), program);
  // Firmware may start the FAT image as the medium: then the menu's files lie elsewhere.
  const inImage = `search --file --set /install.img\n${menu}`;
  const image = await makeEfiImage(
    [
      { path: 'EFI/BOOT/BOOTX64.EFI', bytes: program },
      { path: `${GRUB_DIRECTORY}/grub.cfg`, bytes: Buffer.from(inImage) },
    ],
    new Date(epoch * 1000),
    work,
  );
  await mkdir(path.join(medium, 'boot'), { recursive: true });
  await writeFile(path.join(medium, 'boot/efiboot.img'), image);
}

/** Packages/ and repodata/. A package that nothing provides what it needs stops it. */
async function addPackages(
  medium: string,
  names: readonly string[],
  request: MediumRequest,
): Promise<string[]> {
  const { downloads, epoch } = request;
  const directory = path.join(medium, 'Packages');
  for (const file of await downloads.fetch(names, directory, { resolve: true })) {
    if (!(await stat(file)).isFile()) continue;
    await utimes(file, epoch, epoch); // repodata says when a file was written: not when it was fetched
  }
  const notes: string[] = [];
  const report = await buildRepository({
    dir: medium,
    revision: String(epoch),
    check: (built) =>
      checkBuilt(built, filesBelow(medium), {
        others: [],
        targets: names,
        note: (line) => notes.push(line),
      }),
  });
  return [...report.notes, ...notes];
}
