import { partLength, type ExtentMap } from '../../store/extents.js';
import { ImageError } from '../errors.js';
import type { IsoLoaders } from './loaders.js';

/** A file's bytes, for an image being written: stored ones by reference, or new ones. */
export type IsoContent =
  { readonly kind: 'map'; readonly map: ExtentMap } | { readonly kind: 'bytes'; readonly bytes: Buffer };

/** One file of an image being written. */
export interface IsoEntry {
  readonly path: string; // relative, `/`-separated
  readonly mode?: number; // permission bits, 0644 unless given; always readable by its owner
  readonly content: IsoContent;
}

/** Which of Debian's loaders: `bios` needs an entry at ISOLINUX_CONFIG, `uefi` one at GRUB_CONFIG. */
export interface DebianBoot {
  readonly bios: boolean;
  readonly uefi: boolean;
  /**
   * For images that boot Xen: a file that no other disc has, which a GRUB made for it finds its menu by. The signed
   * chain, which cannot load Xen, is left out.
   */
  readonly xenMark?: string;
}

/** An image to write. The same request gives the same bytes. */
export interface IsoRequest {
  readonly volumeId: string;
  readonly entries: readonly IsoEntry[]; // in any order
  readonly boot: IsoLoaders | DebianBoot;
  readonly date: Date; // of the volume and of every file; whole seconds
}

/** Where isolinux finds its menu. */
export const ISOLINUX_CONFIG = 'isolinux/isolinux.cfg';
/** Where Debian's signed GRUB finds its menu on a CD. */
export const GRUB_CONFIG = 'boot/grub/grub.cfg';
/** The file Debian's signed GRUB recognises its CD by. */
export const DISK_INFO = '.disk/info';

const VOLUME_ID = /^[A-Za-z0-9._+-](?:[A-Za-z0-9 ._+-]{0,30}[A-Za-z0-9._+-])?$/;
const MAX_NAME = 255; // bytes, Rock Ridge as Linux reads it
const MAX_PATH = 1023; // bytes, what every reader of path tables and scripts takes

/** Whether `volumeId` is 1 to 32 of the characters every loader can search for. */
export function isVolumeId(volumeId: string): boolean {
  return VOLUME_ID.test(volumeId);
}

/** `volumeId` itself. Throws BAD_VOLUME_ID unless it is 1 to 32 of the characters every loader can search for. */
export function checkVolumeId(volumeId: string): string {
  if (!isVolumeId(volumeId)) {
    throw new ImageError(
      'BAD_VOLUME_ID',
      `Volume id ${JSON.stringify(volumeId)}: use 1 to 32 of A-Z a-z 0-9 . _ + - and spaces inside.`,
    );
  }
  return volumeId;
}

/** Throws ImageError unless `request` can be written as asked. `added` are the paths that booting adds to the image. */
export function checkRequest(request: IsoRequest, added: readonly string[]): void {
  const year = request.date.getUTCFullYear();
  if (!(year >= 1970 && year <= 2099)) {
    throw new ImageError(
      'BAD_ISO_REQUEST',
      `Image date ${String(request.date)}: ISO 9660 and FAT hold 1980 to 2099 and GRUB takes 1970 onwards. Set a sane date.`,
    );
  }
  const files = new Set<string>();
  for (const { path, content } of request.entries) {
    checkPath(path);
    if (files.has(path) || added.includes(path)) {
      throw new ImageError('BAD_ISO_REQUEST', `${path} would be in the image twice. Leave one of them out.`);
    }
    if (content.kind === 'map') checkMap(path, content.map);
    files.add(path);
  }
  const all = new Set([...files, ...added]);
  for (const path of all) {
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const parent = path.slice(0, cut);
      if (all.has(parent)) {
        throw new ImageError(
          'BAD_ISO_REQUEST',
          `${parent} would be both a file and the directory of ${path}. Rename one.`,
        );
      }
    }
  }
}

function checkPath(path: string): void {
  const components = path.split('/');
  const unsafe = components.some((name) => name === '' || name === '.' || name === '..');
  if (unsafe || /[\x00-\x1f\x7f]/.test(path)) {
    throw new ImageError(
      'UNSAFE_PATH',
      `${JSON.stringify(path)} is no path in an image: it must be relative, without "." or ".." and control characters.`,
    );
  }
  const tooLong = components.find((name) => Buffer.byteLength(name) > MAX_NAME);
  if (tooLong !== undefined || Buffer.byteLength(path) > MAX_PATH) {
    throw new ImageError(
      'NAME_TOO_LONG',
      `${path}: a name in an image holds at most ${MAX_NAME} bytes, a path ${MAX_PATH}. Shorten it.`,
    );
  }
}

function checkMap(path: string, map: ExtentMap): void {
  const total = map.parts.reduce((sum, part) => sum + partLength(part), 0);
  if (total !== map.size) {
    throw new ImageError(
      'BAD_ISO_REQUEST',
      `${path}: its extent map says ${map.size} bytes and holds ${total}. Build the image again.`,
    );
  }
}
