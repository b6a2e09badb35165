import type { Source, SourceFile } from '../source/source.js';
import type { BootEntry } from '../types.js';
import type { MediaLayout } from './layout.js';
import { findMenus } from './loaders.js';
import { mergeMenus } from './menus.js';

/** What the operator is told that was looked for. */
export const XCP_NG_SIGNS =
  'isolinux.cfg or grub.cfg with an entry that loads Xen, a kernel and an archive (install.img), all there';

/** The layout of XCP-ng's and XenServer's installers: Xen, its first guest's kernel, and install.img, by their menus. */
export async function xcpNg(source: Source): Promise<MediaLayout | undefined> {
  const { files } = source;
  const found = await findMenus(source);
  const merged = mergeMenus(found.bios, found.efi);
  const there = new Map(files.map((file) => [file.path, file]));
  const kept = keepBootable(merged.entries, there);
  const [first] = kept.entries.filter((entry) => entry.kind === 'xen' && entry.initrds.length > 0);
  const archive = there.get(first?.initrds[0] ?? '');
  if (first === undefined || archive === undefined) return undefined;
  const paths = new Set(kept.entries.flatMap(pathsOf));
  return {
    family: 'xcp-ng',
    files: files
      .filter((file) => paths.has(file.path) && file !== archive)
      .map((file) => ({ file, as: file.path })),
    archive: { file: archive, as: archive.path },
    tree: files.filter((file) => !found.remade.has(file) && !paths.has(file.path)),
    boot: kept.entries,
    loaders: found.loaders,
    notes: [...found.notes, ...merged.notes, ...kept.notes],
  };
}

/** Every file that an entry loads. */
export function pathsOf(entry: BootEntry): string[] {
  const own =
    entry.kind === 'xen' ? [entry.hypervisor] : entry.efiProgram === undefined ? [] : [entry.efiProgram];
  return [...own, entry.kernel, ...entry.initrds];
}

/** `entries` without those that load what is not on the media. */
export function keepBootable(
  entries: readonly BootEntry[],
  there: ReadonlyMap<string, SourceFile>,
): { readonly entries: readonly BootEntry[]; readonly notes: readonly string[] } {
  const kept: BootEntry[] = [];
  const notes: string[] = [];
  for (const entry of entries) {
    const { efiProgram, ...withoutProgram } =
      entry.kind === 'linux' ? entry : { ...entry, efiProgram: undefined };
    const missing = pathsOf(entry).filter((path) => !there.has(path));
    if (missing.length === 0) {
      kept.push(entry);
    } else if (missing.length === 1 && missing[0] === efiProgram && entry.kind === 'linux') {
      kept.push({ ...(withoutProgram as typeof entry), firmware: 'bios' });
      notes.push(
        `boot entry ${entry.label} loads ${missing.join(', ')} on UEFI, which is not there; it is for BIOS only`,
      );
    } else {
      notes.push(`boot entry ${entry.label} loads ${missing.join(', ')}, which is not there; it is left out`);
    }
  }
  return { entries: kept, notes };
}
