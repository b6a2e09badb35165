import path from 'node:path';
import { OsimageError } from '../../errors.js';
import type { MediaLayout } from '../../family/layout.js';
import { xcat } from '../../family/xcat.js';
import type { SourceFile } from '../../source/source.js';
import type { XcatManifest } from './manifest.js';

/** What of a bundle's files nodes boot. */
interface BootFiles {
  readonly sources: ReadonlyMap<string, SourceFile>; // by their names below files/
  readonly layout: (name: string) => MediaLayout;
}

/** Tells the boot files that `manifest` names from the others. Throws OsimageError BAD_BUNDLE. */
export function layoutOf(
  { plain }: XcatManifest,
  provmethod: string,
  files: readonly SourceFile[],
  where: string,
): { readonly boot: BootFiles; readonly attached: readonly SourceFile[] } {
  const find = (field: string): SourceFile => {
    const named = plain.get(field);
    if (named === undefined)
      throw new OsimageError('BAD_BUNDLE', `${where}: the '${field}' field is not defined; export it again`);
    const name = path.posix.basename(named);
    const found = files.find((file) => file.path === name);
    if (found !== undefined) return found;
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: ${field} is ${JSON.stringify(name)}, which is not in the bundle; export it again, after packimage`,
    );
  };
  switch (provmethod) {
    case 'netboot': {
      const [kernel, ramdisk, rootimg] = [find('kernel'), find('ramdisk'), find('rootimg')];
      return stateless(kernel, ramdisk, rootimg, files, where);
    }
    case 'statelite': {
      const [kernel, ramdisk, tree] = [find('kernel'), find('ramdisk'), find('rootimgtree')];
      const sources = new Map([
        ['kernel', kernel],
        ['initrd-statelite.gz', ramdisk],
        ['rootimgtree.gz', tree],
      ]);
      const placed = [...sources].map(([as, file]) => ({ file, as }));
      const archive = { file: tree, as: 'rootimgtree.gz' };
      const layout: MediaLayout = {
        ...EMPTY,
        files: placed.filter(({ file }) => file !== tree),
        archive,
      };
      return { boot: { sources, layout: () => layout }, attached: without(files, [kernel, ramdisk, tree]) };
    }
    default:
      return { boot: { sources: new Map(), layout: () => EMPTY }, attached: files };
  }
}

const EMPTY: MediaLayout = { family: 'xcat', files: [], tree: [], boot: [], notes: [] };

const without = (files: readonly SourceFile[], taken: readonly SourceFile[]): SourceFile[] =>
  files.filter((file) => !taken.includes(file));

/** The files as packimage leaves them in a rootimgdir, whatever the bundle calls kernel and initrd. */
function stateless(
  kernel: SourceFile,
  ramdisk: SourceFile,
  rootimg: SourceFile,
  files: readonly SourceFile[],
  where: string,
): ReturnType<typeof layoutOf> {
  const named = [{ ...kernel, path: 'kernel' }, { ...ramdisk, path: 'initrd-stateless.gz' }, rootimg];
  const source = { kind: 'directory' as const, files: named, notes: [], close: () => Promise.resolve() };
  const layout = (name: string): MediaLayout => {
    const found = xcat(source, name, {});
    if (found !== undefined) return found;
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: rootimg is ${JSON.stringify(rootimg.path)}, a name that xCAT's initrd does not know; pack it again with packimage`,
    );
  };
  const { files: placed, archive } = layout('osimage');
  const all = archive === undefined ? placed : [...placed, archive];
  const sources = new Map(all.map(({ file, as }) => [as, file]));
  return { boot: { sources, layout }, attached: without(files, [kernel, ramdisk, rootimg]) };
}
