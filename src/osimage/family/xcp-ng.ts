import type { Source } from '../source/source.js';
import { keepBootable, pathsOf } from './bootable.js';
import type { MediaLayout } from './layout.js';
import { findMenus } from './loaders.js';
import { mergeMenus } from './menus.js';
import { missingOfTree } from './signed-tree.js';

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
    notes: [...found.notes, ...merged.notes, ...kept.notes, ...(await missingOfTree(there))],
  };
}
