import path from 'node:path';
import { netbootArguments } from '../xcat/boot-arguments.js';
import type { Source, SourceFile } from '../source/source.js';
import type { MediaHints, MediaLayout } from './layout.js';

/** What the operator is told that was looked for. */
export const XCAT_SIGNS =
  'kernel, initrd-stateless.gz and rootimg.cpio.gz beside each other, as packimage leaves them, or rootimg/ in its place';

/** The tree that packimage packs, in its directory. */
export const ROOT_TREE = 'rootimg';

/**
 * The names that xCAT's dracut module takes for root images, in the order in which nodeset prefers them. Old sites have
 * `rootimg.gz`, which that module does not know any more.
 */
const ROOT_IMAGES: readonly (readonly [name: string, servedAs: string])[] = [
  ['rootimg.cpio.gz', 'rootimg.cpio.gz'],
  ['rootimg.cpio.xz', 'rootimg.cpio.xz'],
  ['rootimg.tar.gz', 'rootimg.tar.gz'],
  ['rootimg.tar.xz', 'rootimg.tar.xz'],
  ['rootimg.sfs', 'rootimg.sfs'],
  ['rootimg.gz', 'rootimg.cpio.gz'],
  [ROOT_TREE, 'rootimg.cpio.gz'],
];

/** The initrds that fetch a root image, the customary name first. */
const INITRDS = ['initrd-stateless.gz', 'initrd.gz'];

/** Whether `name` is that of a packed root image. */
export const isRootImage = (name: string): boolean =>
  name !== ROOT_TREE && ROOT_IMAGES.some(([known]) => known === name);

/** Whether a directory with `names` is one of a stateless image, where `rootimg/` is the tree that is packed. */
export const isOfStateless = (names: readonly string[]): boolean =>
  names.some((name) => name === INITRDS[0] || isRootImage(name)) ||
  (names.includes('kernel') && names.some((name) => INITRDS.includes(name)));

/** What must lie beside a root image that is given alone, for it to be one of a stateless image. */
export const STATELESS_NEEDS = { kernel: 'kernel', initrds: INITRDS } as const;

/**
 * The layout of a stateless image of xCAT, as genimage and packimage leave it in its rootimgdir: a kernel, an initrd that
 * fetches `imgurl=`, and the packed root image, which is the archive that layers change.
 */
export function xcat({ files }: Source, name: string, hints: MediaHints): MediaLayout | undefined {
  for (const [known, as] of ROOT_IMAGES) {
    const archive = files.find((file) => path.posix.basename(file.path) === known);
    if (archive === undefined) continue;
    const beside = (wanted: string): SourceFile | undefined =>
      files.find((file) => file.path === path.posix.join(path.posix.dirname(archive.path), wanted));
    const kernel = typeof hints.kernel === 'string' ? beside(hints.kernel) : beside('kernel');
    const initrd = INITRDS.map(beside).find((found) => found !== undefined);
    if (kernel === undefined || initrd === undefined) continue;
    const used = [kernel, initrd, archive];
    return {
      family: 'xcat',
      files: [
        { file: kernel, as: 'kernel' },
        { file: initrd, as: 'initrd-stateless.gz' },
      ],
      archive: { file: archive, as },
      tree: [],
      boot: [
        {
          kind: 'linux',
          label: 'netboot',
          title: `Boot ${name}`,
          kernel: 'kernel',
          initrds: ['initrd-stateless.gz'],
          args: netbootArguments(as),
        },
      ],
      notes: [
        ...(known === as ? [] : [servedNote(archive, known, as)]),
        ...files
          .filter((file) => !used.includes(file))
          .slice(0, 8)
          .map((file) => `${file.where}: left out, a stateless node does not fetch it`),
      ],
    };
  }
  return undefined;
}

function servedNote({ where }: SourceFile, known: string, as: string): string {
  return known === ROOT_TREE
    ? `${where}: packed as ${as}, without the lists of its attributes, which image pack follows`
    : `${where}: served as ${as}, the name that xCAT's initrd knows`;
}
