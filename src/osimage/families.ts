import path from 'node:path';
import { OsimageError } from './errors.js';
import type { Source, SourceFile } from './source/source.js';
import type { BootEntry, Family } from './types.js';

/** What an installer's files are for. */
export interface MediaLayout {
  readonly family: Family;
  readonly kernel: SourceFile | undefined; // none: an archive alone, which nothing can boot
  readonly archive: SourceFile; // the initrd that layers change
  readonly boot: readonly BootEntry[];
}

/** Every family this release can import. */
export const FAMILIES: readonly Family[] = ['debian-installer', 'generic'];

/** What the operator says of the media, where it does not say so itself. */
export interface MediaHints {
  readonly family?: Family;
  readonly kernel?: SourceFile | string; // a path inside the media; or a file beside a lone archive
  readonly archive?: string; // a path inside the media
}

/**
 * Recognises the media in `source`, as `hints` say where they do. `name` is the osimage's, for menus. Throws
 * OsimageError UNKNOWN_FAMILY, which says what was looked for.
 */
export function recogniseMedia(name: string, source: Source, hints: MediaHints): MediaLayout {
  const { files } = source;
  const named = hints.kernel !== undefined || hints.archive !== undefined;
  if (source.kind === 'archive') return loneArchive(name, files, hints);
  if (hints.family !== 'generic' && !named) {
    const found = debianInstaller(name, files);
    if (found !== undefined) return found;
  }
  if (hints.family === 'debian-installer') {
    throw new OsimageError(
      'UNKNOWN_FAMILY',
      'no Debian installer here: looked for debian-installer/<arch>/linux with initrd.gz beside it; give its netboot directory, or --family generic with --kernel and --initrd',
    );
  }
  return generic(name, files, hints);
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

/** One kernel and one initrd, by their customary names or as `hints` name them. */
function generic(name: string, files: readonly SourceFile[], hints: MediaHints): MediaLayout {
  const candidates = (hint: MediaHints['kernel'], customary: RegExp): readonly SourceFile[] =>
    typeof hint === 'string'
      ? files.filter((file) => file.path === hint.replace(/^\/+/, ''))
      : files.filter((file) => customary.test(file.path));
  const kernels = candidates(hints.kernel, /(^|\/)(vmlinuz|linux|kernel|bzImage)([-.][^/]*)?$/);
  const archives = candidates(hints.archive, /(^|\/)(initrd|initramfs)[^/]*$/);
  const [kernel] = kernels;
  const [archive] = archives;
  if (kernel === undefined || archive === undefined || kernels.length > 1 || archives.length > 1) {
    const list = (found: readonly SourceFile[]): string =>
      found.length === 0
        ? 'none'
        : found
            .slice(0, 8)
            .map((file) => file.path)
            .join(', ') + (found.length > 8 ? ', …' : '');
    throw new OsimageError(
      'UNKNOWN_FAMILY',
      `not an installer rackboot knows: one kernel (found: ${list(kernels)}) and one initrd (found: ${list(archives)}) are needed; name them with --kernel PATH and --initrd PATH`,
    );
  }
  return { family: 'generic', kernel, archive, boot: [linuxEntry('boot', `Boot ${name}`, kernel, archive)] };
}

/** An archive that came as a file of its own, and the kernel to boot it with where one was named. */
function loneArchive(name: string, files: readonly SourceFile[], hints: MediaHints): MediaLayout {
  const [archive] = files;
  const { kernel } = hints;
  if (
    archive === undefined ||
    typeof kernel === 'string' ||
    hints.archive !== undefined ||
    hints.family === 'debian-installer'
  ) {
    throw new OsimageError(
      'UNKNOWN_FAMILY',
      'an archive alone is of family generic; leave --family and --initrd out, and give --kernel FILE to boot it',
    );
  }
  if (kernel !== undefined && kernel.path === archive.path) {
    throw new OsimageError(
      'UNKNOWN_FAMILY',
      `kernel and archive are both called ${archive.path}; give one of them another name`,
    );
  }
  const boot = kernel === undefined ? [] : [linuxEntry('boot', `Boot ${name}`, kernel, archive)];
  return { family: 'generic', kernel, archive, boot };
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
