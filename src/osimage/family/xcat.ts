import path from 'node:path';
import { netbootArguments } from '../xcat/boot-arguments.js';
import type { Source, SourceFile } from '../source/source.js';
import type { MediaHints, MediaLayout } from './layout.js';

/** What the operator is told that was looked for. */
export const XCAT_SIGNS =
  'kernel, initrd-stateless.gz and rootimg.cpio.gz beside each other, as packimage leaves them';

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
];

/** The initrds that fetch a root image, the customary name first. */
const INITRDS = ['initrd-stateless.gz', 'initrd.gz'];

/** Whether `name` is that of a file that xCAT leaves beside `rootimg/`, the tree that it packs. */
export const isOfStateless = (name: string): boolean =>
  name === INITRDS[0] || ROOT_IMAGES.some(([known]) => known === name);

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
        ...(known === as ? [] : [`${archive.where}: served as ${as}, the name that xCAT's initrd knows`]),
        ...files
          .filter((file) => !used.includes(file))
          .slice(0, 8)
          .map((file) => `${file.where}: left out, a stateless node does not fetch it`),
      ],
    };
  }
  return undefined;
}
