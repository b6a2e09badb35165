import path from 'node:path';
import { OsimageError } from './errors.js';
import { el, EL_SIGNS } from './family/el.js';
import type { MediaHints, MediaLayout } from './family/layout.js';
import { supplementalPack } from './family/supplemental-pack.js';
import { xcat, XCAT_SIGNS } from './family/xcat.js';
import { xcpNg, XCP_NG_SIGNS } from './family/xcp-ng.js';
import type { Source, SourceFile } from './source/source.js';
import type { BootEntry, Family } from './types.js';

/** Every family this release can import. */
export const FAMILIES: readonly Family[] = ['debian-installer', 'el', 'generic', 'xcat', 'xcp-ng'];

/**
 * Recognises the media in `source`, as `hints` say where they do. `name` is the osimage's, for menus. Throws
 * OsimageError UNKNOWN_FAMILY, which says what was looked for.
 */
export async function recogniseMedia(name: string, source: Source, hints: MediaHints): Promise<MediaLayout> {
  const { family } = hints;
  const named = hints.kernel !== undefined || hints.archive !== undefined;
  if (source.kind === 'archive') return loneArchive(name, source.files, hints);
  const may = (candidate: Family): boolean => (family === undefined && !named) || family === candidate;
  const found =
    (may('xcp-ng') ? ((await xcpNg(source)) ?? (await supplementalPack(source))) : undefined) ??
    (may('el') ? await el(source, name) : undefined) ??
    (may('xcat') ? xcat(source, name, hints) : undefined) ??
    (may('debian-installer') ? debianInstaller(name, withoutLoaders(source)) : undefined);
  if (found !== undefined) return found;
  const signs = family === undefined ? undefined : SIGNS[family];
  if (signs !== undefined) {
    throw new OsimageError(
      'UNKNOWN_FAMILY',
      `no ${signs.what} here: looked for ${signs.lookedFor}; ${signs.instead}, or --family generic with --kernel and --initrd`,
    );
  }
  return generic(name, withoutLoaders(source), hints);
}

/** What tells the media of a family, for those that find none. */
const SIGNS: Partial<
  Record<Family, { readonly what: string; readonly lookedFor: string; readonly instead: string }>
> = {
  'debian-installer': {
    what: 'Debian installer',
    lookedFor: 'debian-installer/<arch>/linux with initrd.gz beside it',
    instead: 'give its netboot directory',
  },
  'xcp-ng': {
    what: 'XCP-ng installer',
    lookedFor: XCP_NG_SIGNS,
    instead: 'give its ISO or all that is on it',
  },
  xcat: {
    what: 'stateless image of xCAT',
    lookedFor: XCAT_SIGNS,
    instead: 'give its rootimgdir after packimage',
  },
  el: { what: 'Anaconda installer', lookedFor: EL_SIGNS, instead: 'give its ISO or all that is on it' },
};

/** What boots an ISO, and what our own say of themselves: every ISO of these families gets Debian's loaders. */
const LOADER = /^(isolinux|EFI\/BOOT|boot\/grub)\/|^\.disk\/(info|rackboot\.json)$|(^|\/)boot\.cat(alog)?$/i;

/** The files of `source`; of an ISO, without those that boot it. */
function withoutLoaders({ kind, files, disc }: Source): Files {
  if (kind !== 'iso') return { files, notes: [] };
  const images = new Set(disc?.boot.map(({ file }) => file));
  const rest = files.filter((file) => !LOADER.test(file.path) && !images.has(file));
  const loaders = files.length - rest.length;
  return {
    files: rest,
    notes:
      loaders === 0 ? [] : [`${loaders} files that boot it as an ISO are left out; image iso makes its own`],
  };
}

interface Files {
  readonly files: readonly SourceFile[];
  readonly notes: readonly string[];
}

/** The layout of a kernel and an archive whose artifacts lie at their base names; all other files are the tree. */
function atBaseNames(
  family: Family,
  { files, notes }: Files,
  kernel: SourceFile | undefined,
  archive: SourceFile,
  boot: readonly BootEntry[],
): MediaLayout {
  return {
    family,
    files: kernel === undefined ? [] : [{ file: kernel, as: path.posix.basename(kernel.path) }],
    archive: { file: archive, as: path.posix.basename(archive.path) },
    tree: files.filter((file) => file !== kernel && file !== archive),
    boot,
    notes,
  };
}

/** The layout of debian-installer's netboot images: debian-installer/<arch>/{linux,initrd.gz} (installation guide, appendix on TFTP). */
function debianInstaller(name: string, from: Files): MediaLayout | undefined {
  const { files } = from;
  for (const kernel of files) {
    if (!/(^|\/)debian-installer\/[a-z0-9-]+\/linux$/.test(kernel.path)) continue;
    const archive = files.find(
      (file) => file.path === path.posix.join(path.posix.dirname(kernel.path), 'initrd.gz'),
    );
    if (archive === undefined) continue;
    const entry = linuxEntry('install', `Install with ${name}`, kernel, archive);
    return atBaseNames('debian-installer', from, kernel, archive, [entry]);
  }
  return undefined;
}

/** One kernel and one initrd, by their customary names or as `hints` name them. */
function generic(name: string, from: Files, hints: MediaHints): MediaLayout {
  const { files } = from;
  const candidates = (hint: MediaHints['kernel'], customary: RegExp): readonly SourceFile[] =>
    typeof hint === 'string'
      ? files.filter((file) => file.path === hint.replace(/^\/+/, ''))
      : files.filter((file) => customary.test(file.path) && !/\.(?:d?rpm|u?deb)$/.test(file.path));
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
  return atBaseNames('generic', from, kernel, archive, [linuxEntry('boot', `Boot ${name}`, kernel, archive)]);
}

/** An archive that came as a file of its own, and the kernel to boot it with where one was named. */
function loneArchive(name: string, files: readonly SourceFile[], hints: MediaHints): MediaLayout {
  const [archive] = files;
  const { kernel } = hints;
  if (
    archive === undefined ||
    typeof kernel === 'string' ||
    hints.archive !== undefined ||
    (hints.family ?? 'generic') !== 'generic'
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
  return atBaseNames('generic', { files: [], notes: [] }, kernel, archive, boot);
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
