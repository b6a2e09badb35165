import path from 'node:path';
import { OsimageError } from './errors.js';
import type { SourceFile } from './source.js';
import type { BootEntry, Family } from './types.js';

/** What an installer's files are for. */
export interface MediaLayout {
  readonly family: Family;
  readonly kernel: SourceFile;
  readonly archive: SourceFile; // the initrd that layers change
  readonly boot: readonly BootEntry[];
}

/** Every family this release can import. */
export const FAMILIES: readonly Family[] = ['debian-installer', 'generic'];

/**
 * Recognises the media in `files`, as `family` when it is given. `name` is the osimage's, for menus. Throws OsimageError
 * UNKNOWN_FAMILY, which says what was looked for.
 */
export function recogniseMedia(name: string, files: readonly SourceFile[], family?: Family): MediaLayout {
  if (family !== 'generic') {
    const found = debianInstaller(name, files);
    if (found !== undefined) return found;
    if (family === 'debian-installer') {
      throw new OsimageError(
        'UNKNOWN_FAMILY',
        'no Debian installer here: looked for debian-installer/<arch>/linux with initrd.gz beside it; give its netboot directory',
      );
    }
  }
  return generic(name, files);
}

/** The layout of debian-installer's netboot images: debian-installer/<arch>/{linux,initrd.gz} (installation guide, appendix on TFTP). */
function debianInstaller(name: string, files: readonly SourceFile[]): MediaLayout | undefined {
  for (const kernel of files) {
    if (!/(^|\/)debian-installer\/[a-z0-9-]+\/linux$/.test(kernel.path)) continue;
    const archive = files.find(
      (file) => file.path === path.posix.join(path.posix.dirname(kernel.path), 'initrd.gz'),
    );
    if (archive === undefined) continue;
    return {
      family: 'debian-installer',
      kernel,
      archive,
      boot: [linuxEntry('install', `Install with ${name}`, kernel, archive)],
    };
  }
  return undefined;
}

/** One kernel and one initrd, by their customary names. */
function generic(name: string, files: readonly SourceFile[]): MediaLayout {
  const kernels = files.filter((file) => /(^|\/)(vmlinuz|linux|kernel|bzImage)([-.][^/]*)?$/.test(file.path));
  const archives = files.filter((file) => /(^|\/)(initrd|initramfs)[^/]*$/.test(file.path));
  const [kernel] = kernels;
  const [archive] = archives;
  if (kernel === undefined || archive === undefined || kernels.length > 1 || archives.length > 1) {
    const list = (found: readonly SourceFile[]): string =>
      found.map((file) => file.path).join(', ') || 'none';
    throw new OsimageError(
      'UNKNOWN_FAMILY',
      `not an installer rackboot knows: one kernel (found: ${list(kernels)}) and one initrd (found: ${list(archives)}) are needed; give the directory that holds just these`,
    );
  }
  return { family: 'generic', kernel, archive, boot: [linuxEntry('boot', `Boot ${name}`, kernel, archive)] };
}

function linuxEntry(label: string, title: string, kernel: SourceFile, archive: SourceFile): BootEntry {
  return {
    kind: 'linux',
    label,
    title,
    kernel: path.posix.basename(kernel.path),
    initrds: [path.posix.basename(archive.path)],
    args: '',
  };
}
