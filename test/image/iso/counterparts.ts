import {
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  mkdir,
  writeFile,
  symlink,
  chmod,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { execa } from 'execa';
import { sha256 } from '../../../src/store/digest.js';
import { fileSource } from '../../../src/image/iso/source.js';
import { openIso, readNode, type IsoImage } from '../../../src/image/iso/reader.js';
import type { IsoNode } from '../../../src/image/iso/tree.js';

const PACKAGES: Readonly<Record<string, string>> = {
  xorriso: 'xorriso',
  genisoimage: 'genisoimage',
  isoinfo: 'genisoimage',
  bsdtar: 'libarchive-tools',
  '7z': 'p7zip-full',
  mcopy: 'mtools',
  mdir: 'mtools',
  'grub-mkimage': 'grub-common grub-pc-bin',
  checkisomd5: 'isomd5sum',
  implantisomd5: 'isomd5sum',
  mkudffs: 'udftools',
};

/** Runs another program that knows ISO images and gives its standard output. A missing one fails the test. */
export async function counterpart(program: string, ...args: string[]): Promise<Buffer> {
  try {
    const { stdout } = await execa(program, args, {
      encoding: 'buffer',
      stripFinalNewline: false,
      stdin: 'ignore',
      timeout: 120_000,
      maxBuffer: 256 * 1024 * 1024,
      env: { LC_ALL: 'C.UTF-8', TZ: 'UTC' },
    });
    return Buffer.from(stdout);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') {
      throw new Error(`${program} is missing: apt-get install ${PACKAGES[program] ?? program}`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** A directory that is gone when the test is over. */
export async function tempDir(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-test-iso-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** What a tree is made of: bytes, a link, or `null` for an empty directory. */
export type TreeSpec = Readonly<
  Record<string, Buffer | string | { link: string } | { mode: number; bytes: Buffer } | null>
>;

export async function makeTree(directory: string, spec: TreeSpec): Promise<void> {
  for (const [path, what] of Object.entries(spec)) {
    const place = join(directory, path);
    await mkdir(what === null ? place : dirname(place), { recursive: true });
    if (what === null) continue;
    if (typeof what === 'string' || Buffer.isBuffer(what)) await writeFile(place, what);
    else if ('link' in what) await symlink(what.link, place);
    else {
      await writeFile(place, what.bytes);
      await chmod(place, what.mode);
    }
  }
}

/** path → kind, bytes or link target, of a tree on disk. */
export async function readTree(directory: string, below = ''): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(join(directory, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    const place = join(directory, path);
    if (entry.isSymbolicLink()) found.set(path, `link ${await readlink(place)}`);
    else if (!entry.isDirectory()) found.set(path, `file ${sha256(await readFile(place))}`);
    else {
      found.set(path, 'directory');
      for (const [inner, what] of await readTree(directory, path)) found.set(inner, what);
    }
  }
  return found;
}

/** Opens an image on disk with our reader; closed when the test is over. */
export async function openImageFile(t: ExecutionContext, path: string): Promise<IsoImage> {
  const file = await open(path);
  t.teardown(() => file.close());
  return openIso(fileSource(file, (await stat(path)).size));
}

export async function readAll(image: IsoImage, node: IsoNode): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readNode(image, node)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The same shape as readTree, of an image. */
export async function readImageTree(image: IsoImage): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const node of image.nodes) {
    if (node.kind === 'directory') found.set(node.path, 'directory');
    else if (node.kind === 'symlink') found.set(node.path, `link ${node.target ?? ''}`);
    else found.set(node.path, `file ${sha256(await readAll(image, node))}`);
  }
  return found;
}

/** Every path that is only in one of two trees, or differs: empty when they are the same. */
export function differences(
  found: ReadonlyMap<string, string>,
  expected: ReadonlyMap<string, string>,
): Record<string, readonly [found: string | undefined, expected: string | undefined]> {
  const differing = [...new Set([...found.keys(), ...expected.keys()])]
    .filter((path) => found.get(path) !== expected.get(path))
    .map((path) => [path, [found.get(path), expected.get(path)]] as const);
  return Object.fromEntries(differing);
}
