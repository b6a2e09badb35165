import path from 'node:path';
import { codeOf } from '../../errors.js';
import { parseTreeinfo, TREEINFO } from '../../repo/treeinfo.js';
import { readText, type Source, type SourceFile } from '../source/source.js';
import type { BootEntry, LinuxEntry } from '../types.js';
import { keepBootable, pathsOf } from './bootable.js';
import type { MediaLayout } from './layout.js';
import { findMenus } from './loaders.js';
import { mergeMenus } from './menus.js';

/** What the operator is told that was looked for. */
export const EL_SIGNS =
  '.treeinfo with kernel and initrd in a section [images-…], or images/pxeboot/vmlinuz with initrd.img beside it';

/** Where Anaconda finds its second stage and packages; put in for each node, or as an ISO has it (isoArguments). */
export const ANACONDA_TREE = 'inst.repo={{ tree }}';

const MAX_TREEINFO = 1024 * 1024; // bytes

/**
 * The layout of Anaconda's installers (RHEL and its kin, Fedora): kernel and initrd as .treeinfo names them, the entries
 * of the menus. The second stage (images/install.img) stays a file of the tree.
 */
export async function el(source: Source, name: string): Promise<MediaLayout | undefined> {
  const { files } = source;
  const there = new Map(files.map((file) => [file.path, file]));
  const pair = (await namedByTreeinfo(there)) ?? pairAt('images/pxeboot', there);
  if (pair === undefined) return undefined;
  const found = await findMenus(source);
  const merged = mergeMenus(found.bios, found.efi);
  const copies = new Set(files.filter((file) => isCopy(file, pair)));
  const entries = merged.entries.map((entry) => ofPair(entry, pair, copies));
  const kept = keepBootable(entries, there);
  const boots = kept.entries.filter((entry) => entry.kind === 'linux' && entry.kernel === pair.kernel.path);
  const boot = boots.length === 0 ? [installEntry(name, pair), ...kept.entries] : checksLast(kept.entries);
  const paths = new Set(boot.flatMap(pathsOf));
  return {
    family: 'el',
    files: files
      .filter((file) => paths.has(file.path) && file !== pair.archive)
      .map((file) => ({ file, as: file.path })),
    archive: { file: pair.archive, as: pair.archive.path },
    tree: files.filter((file) => !found.remade.has(file) && !copies.has(file) && !paths.has(file.path)),
    boot,
    loaders: found.loaders,
    notes: [
      ...found.notes,
      ...merged.notes,
      ...kept.notes,
      ...[...copies].map(
        (file) =>
          `${file.where}: a second copy for one loader; every menu loads the one in ${path.posix.dirname(pair.archive.path)}`,
      ),
    ],
  };
}

/** A kernel and the archive that goes with it. */
interface Pair {
  readonly kernel: SourceFile;
  readonly archive: SourceFile;
}

async function namedByTreeinfo(there: ReadonlyMap<string, SourceFile>): Promise<Pair | undefined> {
  const file = there.get(TREEINFO);
  if (file === undefined) return undefined;
  const text = await readText(file, MAX_TREEINFO);
  let sections;
  try {
    ({ sections } = parseTreeinfo(text, file.where));
  } catch (error) {
    if (codeOf(error) === 'BAD_TREEINFO') return undefined; // then by where things customarily lie
    throw error;
  }
  for (const [section, values] of sections) {
    if (!/^images-(?!xen)/.test(section)) continue;
    const kernel = there.get(values.get('kernel') ?? '');
    const archive = there.get(values.get('initrd') ?? '');
    if (kernel !== undefined && archive !== undefined && /(^|\/)initr[^/]*$/.test(archive.path))
      return { kernel, archive };
  }
  return undefined;
}

function pairAt(directory: string, there: ReadonlyMap<string, SourceFile>): Pair | undefined {
  const kernel = there.get(`${directory}/vmlinuz`);
  const archive = there.get(`${directory}/initrd.img`);
  return kernel === undefined || archive === undefined ? undefined : { kernel, archive };
}

/** Whether `file` is the pair's kernel or archive once more, beside the loader of a CD. */
function isCopy(file: SourceFile, { kernel, archive }: Pair): boolean {
  return [kernel, archive].some(
    (original) =>
      file !== original &&
      path.posix.basename(file.path) === path.posix.basename(original.path) &&
      file.size === original.size &&
      /(^|\/)(isolinux|loader)\//.test(file.path),
  );
}

/** `entry` with the pair in place of copies, and with the tree where it named the disc. */
function ofPair(entry: BootEntry, pair: Pair, copies: ReadonlySet<SourceFile>): BootEntry {
  if (entry.kind !== 'linux') return entry;
  const original = (name: string): string => {
    const copy = [...copies].find((file) => file.path === name);
    if (copy === undefined) return name;
    const { kernel, archive } = pair;
    return path.posix.basename(name) === path.posix.basename(kernel.path) ? kernel.path : archive.path;
  };
  const kernel = original(entry.kernel);
  const initrds = entry.initrds.map(original);
  if (!initrds.includes(pair.archive.path)) return { ...entry, kernel, initrds };
  const words = entry.args.split(' ').filter((word) => word !== '' && !NAMES_DISC.test(word));
  return { ...entry, kernel, initrds, args: [ANACONDA_TREE, ...words].join(' ') };
}

/** Words that say on which disc the second stage or the packages are (anaconda, docs/boot-options.rst). */
const NAMES_DISC = /^(inst\.)?(stage2|repo)=(hd:|cdrom|live:CDLABEL)/;

function installEntry(name: string, { kernel, archive }: Pair): LinuxEntry {
  return {
    kind: 'linux',
    label: 'install',
    title: `Install with ${name}`,
    kernel: kernel.path,
    initrds: [archive.path],
    args: ANACONDA_TREE,
  };
}

/** What checks the disc first is no default: over a network there is none. */
function checksLast(entries: readonly BootEntry[]): BootEntry[] {
  const checks = (entry: BootEntry): boolean => /(^| )rd\.live\.check( |$)/.test(entry.args);
  const first = entries.find((entry) => !checks(entry));
  return first === undefined ? [...entries] : [first, ...entries.filter((entry) => entry !== first)];
}
