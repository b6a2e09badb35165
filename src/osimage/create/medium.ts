import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../errors.js';
import { makeGrub } from '../../image/iso/disc-grub.js';
import { makeEfiImage } from '../../image/iso/efi-boot.js';
import { buildRepository } from '../../repo/build.js';
import { checkBuilt } from '../../repo/check-build.js';
import { filesBelow } from '../../repo/files.js';
import { signTree, unsignTree } from '../../repo/signing/sign-tree.js';
import type { Signer } from '../../repo/signing/signer.js';
import { parseTreeinfo, TREEINFO } from '../../repo/treeinfo.js';
import { OsimageError } from '../errors.js';
import { addBootFiles, type BootFiles, type BootPackages } from './boot-packages.js';
import { fillTemplate, holdsPlaceholder } from './configs/placeholders.js';
import type { PlaceholderValues } from './configs/types.js';
import type { Downloads } from './downloads.js';
import { grubWord, isGrubMenu, isMenu, loadsKernel, withKernelWords } from './menu-words.js';
import { layTemplates, type TemplateTrees } from './template-trees.js';

/** What becomes of a medium: what is on an installer's ISO, but for its archive. */
export interface MediumRequest {
  readonly boot: BootFiles; // those that are on it
  readonly bootArguments: string;
  readonly downloads: Downloads;
  /** Names of packages whose closure the tree holds; undefined: no packages, the installer fetches them from elsewhere. */
  readonly packages: readonly string[] | undefined;
  readonly signer: Signer | undefined; // of the tree's metadata
  readonly epoch: number; // seconds: of the tree's metadata and of what is made here
  readonly work: string; // scratch
  readonly onStep: (line: string) => void;
}

const TEMPLATES = 'templates/iso';
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
 * Lays the templates of a medium into the directory `medium`. What is wrong with them is told here, before packages are
 * looked for and installed. Throws OsimageError BAD_SOURCE, ImageError BAD_LAYER, RepoError NO_ACCESS, BAD_TREEINFO.
 */
export async function beginMedium(medium: string, templates: TemplateTrees, work: string): Promise<void> {
  await layTemplates(templates, medium, work);
  const own = await filledFiles(medium, { ...ANY_BRANDING, TIMESTAMP: '' });
  for (const { name, text } of own) if (name === TREEINFO) parseTreeinfo(text, `${TEMPLATES}: ${name}`);
  const menus = own.filter(({ name }) => isMenu(name));
  if (menus.length === 0)
    throw new OsimageError(
      'BAD_SOURCE',
      `${TEMPLATES} holds no menu: the medium needs boot/isolinux/isolinux.cfg or EFI/xenserver/grub.cfg`,
    );
  if (menus.some(({ text }) => loadsKernel(text))) return;
  throw new OsimageError(
    'BAD_SOURCE',
    `${TEMPLATES}: no entry of ${menus.map(({ name }) => name).join(', ')} loads /boot/vmlinuz; the medium would boot nothing`,
  );
}

/** Puts what the medium boots from beside its templates, and looks whether these can be filled in now. Throws RepoError, ImageError. */
export async function addBoot(
  medium: string,
  packages: BootPackages,
  downloads: Downloads,
  work: string,
): Promise<BootFiles> {
  const boot = await addBootFiles(medium, packages, downloads, work);
  await filledFiles(medium, { ...boot.branding, TIMESTAMP: '' });
  return boot;
}

/**
 * Makes the medium whole that has its templates, boot files and install.img, as create-iso does. Gives back what is to be
 * known of it, a line each. Throws RepoError, ImageError.
 */
export async function finishMedium(medium: string, request: MediumRequest): Promise<string[]> {
  const { boot, packages, epoch, work, onStep } = request;
  const notes = [...boot.notes];
  const full = packages !== undefined;
  const isSigned = full && request.signer !== undefined;
  const words = [...(full ? (isSigned ? [] : [UNSIGNED]) : [NETINSTALL]), ...wordsOf(request.bootArguments)];
  for (const { name, text } of await filledFiles(medium, {
    ...boot.branding,
    TIMESTAMP: `${String(epoch)}.00`,
  }))
    await writeFile(path.join(medium, name), isMenu(name) ? withWords(name, text, words) : text);
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

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

const withWords = (name: string, menu: string, words: readonly string[]): string =>
  withKernelWords(menu, isGrubMenu(name) ? words.map(grubWord) : words);

/** Values for every placeholder that the branding package can have one for. */
const ANY_BRANDING: PlaceholderValues = {
  PLATFORM_NAME: '',
  PLATFORM_VERSION: '',
  PRODUCT_BRAND: '',
  PRODUCT_VERSION: '',
};

/** The menus and .treeinfo of a medium, filled in. Throws ImageError BAD_LAYER, by file and line. */
async function filledFiles(
  medium: string,
  values: PlaceholderValues,
): Promise<{ readonly name: string; readonly text: string }[]> {
  const names = (await readdir(medium, { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(medium, path.join(entry.parentPath, entry.name)))
    .filter((name) => isMenu(name) || name === TREEINFO);
  const filled: { name: string; text: string }[] = [];
  for (const name of names) {
    const text = await readFile(path.join(medium, name), 'utf8');
    const where = `${TEMPLATES}: ${name}`;
    filled.push({ name, text: holdsPlaceholder(text) ? fillTemplate({ where, text }, values) : text });
  }
  return filled;
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
