import path from 'node:path';
import pLimit from 'p-limit';
import { codeOf } from '../../errors.js';
import { parseGrub } from '../../image/boot-config/grub.js';
import { MAX_CONFIG, type BootMenu } from '../../image/boot-config/menu.js';
import { readIncludes } from '../../image/boot-config/syslinux-include.js';
import { parseSyslinux } from '../../image/boot-config/syslinux.js';
import { collect } from '../../image/chunks.js';
import { listOf, openMetadata, readRepomd } from '../../repo/metadata.js';
import { parseEntry } from '../../repo/package-entry.js';
import { packagesOf } from '../../repo/package-stream.js';
import { REPOMD, REPOMD_SIGNATURE, sha256Of } from '../../repo/repomd.js';
import { parseTreeinfo, TREEINFO, type Treeinfo } from '../../repo/treeinfo.js';
import type { RepoFiles } from '../../repo/files.js';

/** A tree of which files can be asked for by name, and by name only. */
export interface TreeReader {
  readonly where: string; // how error messages name it
  /** The size of the file at `path` in bytes; undefined when there is none. */
  size(path: string): Promise<number | undefined>;
  read(path: string): AsyncIterable<Buffer>;
}

/** A file that a tree has. */
export interface TreeName {
  readonly path: string;
  readonly size: number; // bytes
  readonly sha256?: string; // where a repository lists it
}

const ASKED_AT_ONCE = 8;

/** What lies at the top of installers' trees, and the archives and programs that lie at customary places. */
const CUSTOMARY = [
  ...[
    TREEINFO,
    '.discinfo',
    'media.repo',
    'extra_files.json',
    'EULA',
    'LICENSES',
    'LICENSE',
    'GPL',
    'COPYING',
  ],
  ...['update.xml', 'install.img', 'boot/efiboot.img'],
  ...['install', 'product', 'updates', 'efiboot', 'eltorito'].map((name) => `images/${name}.img`),
  ...['images/pxeboot/vmlinuz', 'images/pxeboot/initrd.img', 'LiveOS/squashfs.img'],
  ...[
    'BOOTX64.EFI',
    'BOOTIA32.EFI',
    'grubx64.efi',
    'grubia32.efi',
    'mmx64.efi',
    'mmia32.efi',
    'BOOT.conf',
  ].map((name) => `EFI/BOOT/${name}`),
  ...['EFI/BOOT/fonts/unicode.pf2', 'EFI/xenserver/grubx64.efi'],
  ...['pxelinux.0', 'mboot.c32', 'menu.c32', 'ldlinux.c32', 'libcom32.c32', 'libutil.c32'].map(
    (name) => `boot/pxelinux/${name}`,
  ),
  ...['amd64', 'arm64'].flatMap((arch) =>
    ['linux', 'initrd.gz'].map((name) => `debian-installer/${arch}/${name}`),
  ),
];

const ISOLINUX_MENUS = ['boot/isolinux/isolinux.cfg', 'isolinux/isolinux.cfg'];
const GRUB_MENUS = [
  ...['EFI/xenserver/grub.cfg', 'EFI/xenserver/grub-usb.cfg', 'EFI/BOOT/grub.cfg'],
  ...['boot/grub/grub.cfg', 'boot/grub2/grub.cfg'],
];
/** What lies beside isolinux.cfg. */
const ISOLINUX_FILES = [
  ...['isolinux.bin', 'ldlinux.c32', 'libcom32.c32', 'libutil.c32', 'mboot.c32', 'menu.c32', 'vesamenu.c32'],
  ...['boot.msg', 'splash.png', 'splash.lss', 'pg_main', 'pg_help', 'grub.conf', 'boot.cat', 'memtest'],
];

/**
 * The files of an installer's tree that can be known without listing it: at customary places, in its menus, its
 * .treeinfo and its repositories. In order of their paths. Throws RepoError BAD_METADATA, and what reading throws.
 */
export async function namesOfTree(tree: TreeReader): Promise<TreeName[]> {
  const found = new Map<string, TreeName>();
  const limit = pLimit(ASKED_AT_ONCE);
  const ask = async (paths: Iterable<string>): Promise<void> => {
    const unknown = [...new Set(paths)].filter((name) => isBelow(name) && !found.has(name));
    await Promise.all(
      unknown.map((name) =>
        limit(async () => {
          const size = await tree.size(name);
          if (size !== undefined) found.set(name, { path: name, size });
        }),
      ),
    );
  };
  await ask([...CUSTOMARY, ...ISOLINUX_MENUS, ...GRUB_MENUS]);
  await ask(await namedByMenus(tree, found));
  const treeinfo = found.has(TREEINFO) ? await treeinfoOf(tree) : undefined;
  await ask(treeinfo === undefined ? [] : namedByTreeinfo(treeinfo));
  for (const repository of repositoriesOf(treeinfo)) {
    for (const name of await packagesBelow(tree, repository)) {
      if ('size' in name) found.set(name.path, name);
      else await ask([name.path]);
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function isBelow(name: string): boolean {
  return name !== '' && !name.startsWith('/') && !/(^|\/)\.{1,2}(\/|$)|\/\/|[\0\n]/.test(name);
}

async function namedByMenus(tree: TreeReader, found: ReadonlyMap<string, TreeName>): Promise<string[]> {
  const names: string[] = [];
  const text = async (name: string): Promise<string | undefined> =>
    (found.get(name)?.size ?? Infinity) > MAX_CONFIG
      ? undefined
      : (await collect(tree.read(name))).toString('utf8');
  for (const name of ISOLINUX_MENUS) {
    const menu = await text(name);
    if (menu === undefined) continue;
    const directory = path.posix.dirname(name);
    const config = await readIncludes(menu, directory, async (file) => {
      const size = isBelow(file) ? await tree.size(file) : undefined;
      return size === undefined || size > MAX_CONFIG
        ? undefined
        : (await collect(tree.read(file))).toString('utf8');
    });
    names.push(
      ...ISOLINUX_FILES.map((file) => `${directory}/${file}`),
      ...config.files,
      ...loadedBy(parseSyslinux(config.text, directory)),
    );
  }
  for (const name of GRUB_MENUS) {
    const menu = await text(name);
    if (menu !== undefined) names.push(...loadedBy(parseGrub(menu)));
  }
  return names;
}

function loadedBy({ entries }: BootMenu): string[] {
  return entries.flatMap(({ starts }) => {
    switch (starts.kind) {
      case 'linux':
        return [starts.kernel, ...starts.initrds];
      case 'xen':
        return [starts.hypervisor, starts.kernel, ...starts.modules];
      case 'efi':
        return [starts.program];
    }
  });
}

/** The tree's .treeinfo, if it is one that can be read. */
async function treeinfoOf(tree: TreeReader): Promise<Treeinfo | undefined> {
  try {
    return parseTreeinfo((await collect(tree.read(TREEINFO))).toString('utf8'), `${tree.where}/${TREEINFO}`);
  } catch (error) {
    if (codeOf(error) === 'BAD_TREEINFO') return undefined;
    throw error;
  }
}

/** Keys, and the files of the sections that list images and checksums. */
function namedByTreeinfo({ sections, keys }: Treeinfo): string[] {
  const names = [...keys];
  for (const [section, values] of sections) {
    if (section === 'checksums') names.push(...values.keys());
    if (/^images-|^stage2$/.test(section)) names.push(...values.values());
  }
  return names;
}

/** Where the tree has repositories: at its top, and where the sections of variants say (productmd, treeinfo 1.2). */
function repositoriesOf(treeinfo: Treeinfo | undefined): string[] {
  const named = [...(treeinfo?.sections ?? [])].flatMap(([section, values]) =>
    section.startsWith('variant-') ? [values.get('repository') ?? ''] : [],
  );
  const inside = named
    .map((name) => name.replace(/^\.?\/*|\/+$/g, ''))
    .filter((name) => name === '' || isBelow(name));
  return [...new Set(['', ...inside])];
}

/** The metadata and packages of the repository at `base`; none where there is no repository. */
async function packagesBelow(
  tree: TreeReader,
  base: string,
): Promise<(TreeName | { readonly path: string })[]> {
  const at = (href: string): string => (base === '' ? href : `${base}/${href}`);
  if ((await tree.size(at(REPOMD))) === undefined) return [];
  const files: RepoFiles = {
    where: base === '' ? tree.where : `${tree.where}/${base}`,
    read: (href) => Promise.resolve(tree.read(at(href))),
  };
  const repomd = await readRepomd(files);
  const primary = listOf(repomd, 'primary', files.where);
  const found: (TreeName | { readonly path: string })[] = [REPOMD, REPOMD_SIGNATURE, `${REPOMD}.key`]
    .concat(repomd.files.map(({ href }) => href))
    .map((href) => ({ path: at(href) }));
  const where = `${files.where}/${primary.href}`;
  for await (const fragment of packagesOf(openMetadata(files, primary), where)) {
    const { href, size, checksum } = parseEntry(fragment, where);
    const sha256 = sha256Of(checksum);
    found.push({ path: at(href), size, ...(sha256 === undefined ? {} : { sha256 }) });
  }
  return found;
}
