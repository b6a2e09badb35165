import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../errors.js';
import type { BlobWriter } from '../store/types.js';
import { linesOf, withoutComments } from './comments.js';
import { pathFromBytes } from './cpio/path.js';
import { readDrivers } from './drivers/read-drivers.js';
import { ImageError } from './errors.js';
import { readExlist, type Exlist } from './exlist.js';
import type { LayerFile, LayerSnapshot } from './layer.js';
import { readOverlay } from './layer-overlay.js';
import { readPackages } from './layer-packages.js';
import type { LayerDirectory } from './layer-path.js';
import { stackOverlays } from './layer-stack.js';
import { distOf, templateTrees, type Dist } from './layer-templates.js';
import { readTreeFiles, readTreeTemplates, type TreeFile } from './layer-tree.js';
import { parseMtree, type MtreeEntry } from './mtree.js';

/** Words for the kernel line, as create-install-image has them. */
export const INSTALLER_BOOTARGS = 'installer-bootargs.lst';

/** What of a layer's directory changes an image that is there. */
export const FOR_BUILD: readonly string[] = [
  'overlay',
  'removals',
  'exlist',
  'mtree',
  'drivers',
  'packages',
  'tree',
  'bootargs',
  'xenargs',
  'answerfile.liquid',
];

/** What a layer's directory may hold. Names that begin with a dot are left alone. */
const KNOWN = ['INCLUDE', ...FOR_BUILD, 'templates', INSTALLER_BOOTARGS];

/** What create-install-image's layers hold besides: it says how an image is made of packages (osimage/create). */
const FOR_CREATE = [
  'packages.lst',
  'yum.conf.tmpl',
  'yumdl.conf.tmpl',
  'yum-repos.conf.tmpl',
  'CUSTOMREPO.tmpl',
  'grub-efiboot-cfg.patch',
];

/** Told of what is odd but no error, a line at a time. */
export type LayerNotes = (line: string) => void;

/**
 * Reads a layer's directory and stores its files; `dist` says which templates it takes. Throws ImageError BAD_LAYER for
 * what a layer cannot hold, naming it and the mend.
 */
export async function readLayer(
  layer: LayerDirectory,
  writer: BlobWriter,
  note: LayerNotes = () => undefined,
  dist: Dist = distOf([layer]),
): Promise<LayerSnapshot> {
  const names = (await readdir(layer.dir)).filter((name) => !name.startsWith('.') && !/^README/i.test(name));
  const stranger = names.find((name) => !KNOWN.includes(name) && !FOR_CREATE.includes(name));
  if (stranger !== undefined) {
    throw new ImageError(
      'BAD_LAYER',
      `${path.join(layer.dir, stranger)}: a layer may hold ${KNOWN.join(', ')} and README; move it below overlay/ if it belongs into the image`,
    );
  }
  const answer = await readText(layer, 'answerfile.liquid');
  const tree = await readLayerTree(layer, names, dist, writer, note);
  const xenargs = withoutComments((await readText(layer, 'xenargs')) ?? '');
  return {
    version: 1,
    files: await readOverlays(layer, names, dist, writer),
    removals: linesOf((await readText(layer, 'removals', 'latin1')) ?? '').map((line) => pathFromBytes(line)),
    ...(names.includes('exlist') ? { exlist: await readLayerExlist(layer, note) } : {}),
    ...(names.includes('mtree') ? { mtree: await readMtree(layer) } : {}),
    ...(names.includes('drivers')
      ? { drivers: await readDrivers(path.join(layer.dir, 'drivers'), writer, note) }
      : {}),
    ...(names.includes('packages')
      ? { packages: await readPackages(path.join(layer.dir, 'packages'), writer) }
      : {}),
    ...(tree.length === 0 ? {} : { tree }),
    bootargs: await readBootargs(layer),
    ...(xenargs === '' ? {} : { xenargs }),
    ...(answer === undefined
      ? {}
      : {
          answer: {
            name: `${layer.name}/answerfile.liquid`,
            template: await writer.put(Buffer.from(answer)),
          },
        }),
  };
}

/** The layer's overlay over its templates of the installer's root file system. */
async function readOverlays(
  layer: LayerDirectory,
  names: readonly string[],
  dist: Dist,
  writer: BlobWriter,
): Promise<LayerFile[]> {
  const roots = await templateTrees(layer, dist, 'installimg');
  if (names.includes('overlay')) roots.push(path.join(layer.dir, 'overlay'));
  const overlays: LayerFile[][] = [];
  for (const root of roots) overlays.push(await readOverlay(root, writer));
  return stackOverlays(overlays);
}

/** The layer's files for the install tree: its tree/ over its templates. */
async function readLayerTree(
  layer: LayerDirectory,
  names: readonly string[],
  dist: Dist,
  writer: BlobWriter,
  note: LayerNotes,
): Promise<TreeFile[]> {
  const files = new Map<string, TreeFile>();
  const add = (found: readonly TreeFile[]): void => {
    for (const file of found) files.set(file.path, file);
  };
  const roots = await templateTrees(layer, dist, 'iso');
  for (const root of roots) {
    const read = await readTreeTemplates(root, writer);
    add(read.files);
    const left = read.passedOver.map(({ path: name }) => name);
    if (left.length > 0)
      note(
        `${root}: ${left.join(', ')}: left out, as they are made of the osimage’s own boot entries and .treeinfo`,
      );
  }
  if (names.includes('tree')) add(await readTreeFiles(path.join(layer.dir, 'tree'), writer));
  if (names.includes('templates')) await checkTemplates(layer, dist, note);
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Checks what templates/ holds, and says so when none of it is for these layers. */
async function checkTemplates(layer: LayerDirectory, dist: Dist, note: LayerNotes): Promise<void> {
  const top = path.join(layer.dir, 'templates');
  const stranger = (await readdir(top)).find((kind) => !/^(?:iso|installimg|README.*|\..*)$/i.test(kind));
  if (stranger !== undefined) {
    throw new ImageError(
      'BAD_LAYER',
      `${path.join(top, stranger)}: templates/ may hold iso/<dist>/ and installimg/<dist>/; move or remove it`,
    );
  }
  const kinds = ['iso', 'installimg'] as const;
  const trees = await Promise.all(kinds.map((kind) => templateTrees(layer, dist, kind)));
  const wanted = dist.release ?? dist.dist;
  if (trees.flat().length === 0)
    note(`${top}: nothing in it is for ${wanted}; name a directory ${wanted} in its iso/ or installimg/`);
}

/** The words of bootargs, then those of installer-bootargs.lst, on lines of their own. */
async function readBootargs(layer: LayerDirectory): Promise<string> {
  const own = withoutComments((await readText(layer, 'bootargs')) ?? '');
  const plain = await readInstallerBootargs(layer);
  return [own, ...plain].filter((words) => words !== '').join('\n');
}

/** The lines of a layer's installer-bootargs.lst. Throws ImageError BAD_LAYER for a template. */
export async function readInstallerBootargs(layer: LayerDirectory): Promise<string[]> {
  const text = (await readText(layer, INSTALLER_BOOTARGS)) ?? '';
  const at = text.split('\n').findIndex((line) => /\{[{%]/.test(line));
  if (at < 0) return linesOf(text);
  throw new ImageError(
    'BAD_LAYER',
    `${path.join(layer.dir, INSTALLER_BOOTARGS)}:${at + 1}: holds words as they are; put templates into bootargs`,
  );
}

function readLayerExlist(layer: LayerDirectory, note: LayerNotes): Promise<Exlist> {
  return readExlist(path.join(layer.dir, 'exlist'), {
    read: (file) => readFile(file, 'latin1'),
    onIdle: ({ file, line, why }) => note(`${file}:${line}: ${why}`),
  });
}

async function readMtree(layer: LayerDirectory): Promise<MtreeEntry[]> {
  const file = path.join(layer.dir, 'mtree');
  return parseMtree(await readFile(file, 'latin1'), file);
}

async function readText(
  layer: LayerDirectory,
  name: string,
  encoding: 'utf8' | 'latin1' = 'utf8',
): Promise<string | undefined> {
  return readFile(path.join(layer.dir, name), encoding).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}
