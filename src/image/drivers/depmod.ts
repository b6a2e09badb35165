import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { codeOf } from '../../errors.js';
import { collect } from '../chunks.js';
import { isRegular, S_IFREG } from '../cpio/header.js';
import { isSafe, joinPath, ROOT, type ArchivePath } from '../cpio/path.js';
import { contentOf, type Edit } from '../edit.js';
import { ImageError } from '../errors.js';
import type { ArchivePreview } from '../preview.js';
import { moduleName } from './module-file.js';
import { moduleDirectory, moduleFiles, type ModuleFile } from './module-tree.js';

/** What depmod reads besides modules (depmod(8)); the kernel's build writes them. */
const INPUTS = ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'];
const CONFIGURATION = ['etc/depmod.d', 'lib/depmod.d'];
const DEPMOD_TIMEOUT = 300_000; // milliseconds
/** depmod lies in a directory that only root's PATH has. */
const PATH = [process.env['PATH'], '/usr/sbin', '/sbin'].join(path.delimiter);

/**
 * What brings the indexes of a kernel's modules up to date: those of depmod's outputs that differ from what the image
 * holds. An index that the image keeps in one of its two forms, text or binary, stays in that form; those of built-in
 * modules stay as they are. `from` is for messages. Throws ImageError MISSING_TOOL, TOOL_FAILED.
 */
export async function indexEdits(image: ArchivePreview, kernel: string, from: string): Promise<Edit[]> {
  const files = moduleFiles(image, kernel);
  const directory = moduleDirectory(image.tree, kernel);
  const held = new Map(files.map((file) => [file.name, file]));
  const edits: Edit[] = [];
  for (const [name, bytes] of await runDepmod(image, kernel, files)) {
    if (name.startsWith('modules.builtin')) continue;
    const twin = name.endsWith('.bin') ? name.slice(0, -'.bin'.length) : `${name}.bin`;
    const old = held.get(name);
    if (old === undefined && held.has(twin)) continue;
    if (old !== undefined && bytes.equals(await collect(image.read(old.entry)))) continue;
    const content = contentOf(bytes);
    const at = { path: joinPath(directory, name), from };
    edits.push({ op: 'put', ...at, mode: S_IFREG | 0o644, uid: 0, gid: 0, content });
  }
  return edits;
}

/** What depmod writes for a kernel's modules, by name, in order of the names. */
async function runDepmod(
  image: ArchivePreview,
  kernel: string,
  files: readonly ModuleFile[],
): Promise<[string, Buffer][]> {
  const modules = files.filter(({ name }) => moduleName(name) !== undefined && isSafe(name as ArchivePath));
  const root = await mkdtemp(path.join(tmpdir(), 'rackboot-depmod-'));
  try {
    const directory = path.join(root, 'lib/modules', kernel);
    await mkdir(directory, { recursive: true });
    const inputs = files.filter(({ name }) => INPUTS.includes(name));
    for (const { name, entry } of [...inOrderOfArchive(modules), ...inputs]) {
      await mkdir(onDisk(directory, path.dirname(name)), { recursive: true });
      await writeFile(onDisk(directory, name), image.read(entry));
    }
    const order = await completeOrder(image, inputs, modules);
    await writeFile(path.join(directory, 'modules.order'), order, 'latin1');
    const configuration = await layConfiguration(image, root);
    await callDepmod(['-b', root, ...configuration.flatMap((dir) => ['-C', dir]), kernel]);
    const names = (await readdir(directory)).filter((name) => name.startsWith('modules.')).sort();
    const outputs: [string, Buffer][] = [];
    for (const name of names) {
      if (!INPUTS.includes(name)) outputs.push([name, await readFile(path.join(directory, name))]);
    }
    checkCompression(modules, outputs);
    return outputs;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** The path of a file whose name is latin-1. */
const onDisk = (directory: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')]);

/** So that each segment of the archive is decompressed once. */
function inOrderOfArchive(modules: readonly ModuleFile[]): ModuleFile[] {
  return [...modules].sort((a, b) => a.entry.frame - b.entry.frame || a.entry.offset - b.entry.offset);
}

/**
 * modules.order with every module in it. depmod lists those that it does not find there as the directory lists them,
 * which is by chance.
 */
async function completeOrder(
  image: ArchivePreview,
  inputs: readonly ModuleFile[],
  modules: readonly ModuleFile[],
): Promise<string> {
  const order = inputs.find(({ name }) => name === 'modules.order');
  const listed =
    order === undefined
      ? []
      : (await collect(image.read(order.entry)))
          .toString('latin1')
          .split('\n')
          .filter((line) => line !== '');
  const known = new Set(listed);
  return [...listed, ...modules.map(({ name }) => name).filter((name) => !known.has(name))]
    .map((line) => `${line}\n`)
    .join('');
}

/** The image's own depmod.d, which decides whose module wins, and never this machine's. */
async function layConfiguration(image: ArchivePreview, root: string): Promise<string[]> {
  const directories: string[] = [];
  for (const name of CONFIGURATION) {
    const directory = path.join(root, name);
    await mkdir(directory, { recursive: true });
    const inImage = image.tree.resolve(joinPath(ROOT, name));
    for (const entry of image.tree.below(inImage)) {
      const file = entry.path.slice(inImage.length + 1);
      if (!/^[^/]+\.conf$/.test(file)) continue;
      const reached = image.tree.resolve(entry.path);
      const [holder] = image.tree.below(reached);
      if (holder?.path === reached && isRegular(holder.header.mode))
        await writeFile(path.join(directory, file), image.read(holder));
    }
    directories.push(directory);
  }
  return directories;
}

/** Which depmod this machine has, as it says itself: what it writes depends on it. Throws ImageError MISSING_TOOL, TOOL_FAILED. */
export async function depmodVersion(): Promise<string> {
  return (await callDepmod(['--version'])).split('\n')[0]?.trim() ?? '';
}

/** Calls depmod and gives back what it printed. */
async function callDepmod(args: readonly string[]): Promise<string> {
  try {
    const options = { stdin: 'ignore', timeout: DEPMOD_TIMEOUT, env: { PATH, LC_ALL: 'C' } } as const;
    return (await execa('depmod', args, options)).stdout;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new ImageError(
        'MISSING_TOOL',
        'depmod is missing, and a layer with drivers needs it. Install it: apt-get install kmod',
        { cause: error },
      );
    }
    const said = (error as { readonly stderr?: string }).stderr?.trim().split('\n').at(-1) ?? '';
    throw new ImageError('TOOL_FAILED', `depmod failed: ${said || 'it said nothing'}`, { cause: error });
  }
}

/** depmod passes silently over compressed modules that it was not built to read. */
function checkCompression(
  modules: readonly ModuleFile[],
  outputs: readonly (readonly [string, Buffer])[],
): void {
  const listed = outputs.find(([name]) => name === 'modules.dep')?.[1].toString('latin1') ?? '';
  for (const suffix of ['.gz', '.xz', '.zst']) {
    if (!modules.some(({ name }) => name.endsWith(suffix)) || listed.includes(`.ko${suffix}:`)) continue;
    throw new ImageError(
      'TOOL_FAILED',
      `this machine's depmod reads no ${suffix} modules, and the image's are; install one that does (depmod --version), or put the modules decompressed into the layer's overlay`,
    );
  }
}
