import path from 'node:path';
import { parseGrub } from '../../image/boot-config/grub.js';
import { MAX_CONFIG, type BootMenu } from '../../image/boot-config/menu.js';
import { readIncludes } from '../../image/boot-config/syslinux-include.js';
import { parseSyslinux } from '../../image/boot-config/syslinux.js';
import { readText, type Source, type SourceFile } from '../source/source.js';

/** What boots media as an ISO: its own loaders, which every ISO made of it gets again, with menus made anew. */
export interface MediaLoaders {
  readonly volumeId?: string;
  /** ISOLINUX or GRUB, and what starts it where the ISO is a disk. */
  readonly bios?: { readonly image: SourceFile; readonly bootCode?: Buffer; readonly isGrub?: true };
  /** The FAT image that UEFI starts from. */
  readonly uefi?: { readonly image: SourceFile };
  readonly catalog: string; // path of the El Torito catalog
  readonly isolinuxMenus: readonly string[]; // paths of the menus on the media
  readonly grubMenus: readonly string[];
}

/** The menus of media and the loaders that show them. */
export interface FoundMenus {
  readonly bios?: BootMenu;
  readonly efi?: BootMenu;
  readonly loaders: MediaLoaders;
  /** The files that an ISO gets anew: menus, boot images, the catalog. They are not part of the install tree. */
  readonly remade: ReadonlySet<SourceFile>;
  readonly notes: readonly string[];
}

const ISOLINUX_MENU = /(^|\/)isolinux\/isolinux\.cfg$/i;
const GRUB_MENU = /(^|\/)grub[^/]*\.cfg$/i;
const CATALOG = /(^|\/)boot\.cat(alog)?$/i;
const ISOLINUX_IMAGE = /(^|\/)isolinux[^/]*\.bin$/i;
/** GRUB for BIOS, as lorax calls it. */
const GRUB_IMAGE = /(^|\/)eltorito\.img$/i;
const EFI_IMAGE = /(^|\/)(efiboot|efi)\.img$/i;
/** What rackboot's own ISOs say of themselves. */
const STATEMENT = /^\.disk\/(info|rackboot[^/]*)$/;

/** The menu of GRUB for BIOS. */
const BIOS_GRUB_MENU = /^boot\/grub2?\/grub\.cfg$/i;
/** Where GRUB for EFI looks first. */
const GRUB_ORDER = [/^EFI\/xenserver\/grub\.cfg$/i, /^EFI\/BOOT\/grub\.cfg$/i, /^EFI\//i, /./];

/** Finds and reads the menus of isolinux and GRUB on media, and what shows them. */
export async function findMenus(source: Source): Promise<FoundMenus> {
  const { files, disc } = source;
  const isolinux = files.filter((file) => ISOLINUX_MENU.test(file.path));
  const grub = files.filter((file) => GRUB_MENU.test(file.path));
  const notes: string[] = [];
  const there = new Map(files.map((file) => [file.path, file]));
  const included = new Set<SourceFile>();
  const missing: string[] = [];
  const isolinuxMenu = await firstMenu(isolinux, async (text, file) => {
    const directory = path.posix.dirname(file.path);
    const config = await readIncludes(text, directory, async (name) => {
      const found = there.get(name);
      if (found === undefined || found.size > MAX_CONFIG) return undefined;
      included.add(found);
      return readText(found, MAX_CONFIG);
    });
    for (const name of config.missing) missing.push(`${file.where}: includes ${name}, which cannot be read`);
    return parseSyslinux(config.text, directory);
  });
  const inOrder = GRUB_ORDER.flatMap((pattern) => grub.filter((file) => pattern.test(file.path)));
  const efi = await firstMenu(inOrder, parseGrub);
  const booted = (platform: 'bios' | 'uefi', name: RegExp): SourceFile | undefined =>
    disc === undefined
      ? files.find((file) => name.test(file.path))
      : disc.boot.find((image) => image.platform === platform)?.file;
  const biosImage = booted('bios', ISOLINUX_IMAGE) ?? booted('bios', GRUB_IMAGE);
  const uefiImage = booted('uefi', EFI_IMAGE);
  const isIsolinux = biosImage !== undefined && ISOLINUX_IMAGE.test(biosImage.path);
  const bios =
    isolinuxMenu ??
    (await firstMenu(
      grub.filter((file) => BIOS_GRUB_MENU.test(file.path)),
      parseGrub,
    ));
  const startsBios = biosImage !== undefined && (isIsolinux ? isolinuxMenu : bios) !== undefined;
  if (biosImage !== undefined && !startsBios) {
    notes.push(`${biosImage.where}: no loader with a menu; an ISO made of this boots on UEFI only`);
  }
  const [one] = [biosImage, uefiImage].filter((image) => image !== undefined);
  if (one !== undefined && (!startsBios || uefiImage === undefined) && notes.length === 0) {
    const only = uefiImage === undefined ? 'BIOS' : 'UEFI';
    notes.push(`${one.where} is the only loader of the media; an ISO made of it boots on ${only} only`);
  }
  const catalogs = files.filter((file) => CATALOG.test(file.path));
  const image = startsBios ? biosImage : uefiImage;
  const remade = new Set([...isolinux, ...included, ...grub, ...catalogs]);
  for (const file of [biosImage, uefiImage]) if (file !== undefined) remade.add(file);
  for (const file of files) if (STATEMENT.test(file.path)) remade.add(file);
  return {
    ...(bios === undefined ? {} : { bios }),
    ...(efi === undefined ? {} : { efi }),
    loaders: {
      ...(disc === undefined || disc.volumeId === '' ? {} : { volumeId: disc.volumeId }),
      ...(startsBios
        ? {
            bios: {
              image: biosImage,
              ...(disc?.bootCode === undefined ? {} : { bootCode: disc.bootCode }),
              ...(isIsolinux ? {} : { isGrub: true as const }),
            },
          }
        : {}),
      ...(uefiImage === undefined ? {} : { uefi: { image: uefiImage } }),
      catalog:
        catalogs[0]?.path ??
        path.posix.join(image === undefined ? 'boot' : path.posix.dirname(image.path), 'boot.cat'),
      isolinuxMenus: isolinux.map((file) => file.path),
      grubMenus: grub.map((file) => file.path),
    },
    remade,
    notes: [...missing, ...notes],
  };
}

/** The first of `files` that has entries. */
async function firstMenu(
  files: readonly SourceFile[],
  parse: (text: string, file: SourceFile) => BootMenu | Promise<BootMenu>,
): Promise<BootMenu | undefined> {
  for (const file of new Set(files)) {
    const menu = await parse(await readText(file, MAX_CONFIG), file);
    if (menu.entries.length > 0) return menu;
  }
  return undefined;
}
