import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/site/assets.js';
import { runProgram } from './commands.js';
import { makeInstallImage } from './install-image.js';
import { addBootFiles, makeIso } from './medium.js';
import { buildPackages, productPackages } from './packages.js';
import {
  exportKey,
  KEY_FILE,
  makeKey,
  releaseKey,
  signMetadata,
  signPackages,
  type SigningKey,
} from './signing-key.js';

/** The product: an XCP-ng-shaped medium that boots. See README.md. */
export interface Product {
  readonly iso: string;
  readonly tree: string; // the directory that the ISO was made of; not to be changed
  readonly drivers: string; // a directory of the modules that its install.img lacks
  readonly release: string; // of its kernel
}

const treeinfo = `[platform]
name = XCP
version = 3.4.0

[branding]
name = XCP-ng
version = 8.3.0

[build]
number = test-product

[system-v1]
platform_name = XCP
platform_version = 3.4.0
product_name = XCP-ng
product_version = 8.3.0

[keys]
key1 = ${KEY_FILE}
`;

/** Packages whose version goes into the product. */
const ingredients = [
  ...['xen-hypervisor-4.17-amd64', 'debian-installer-12-netboot-amd64', 'busybox', 'rpm', 'gpgv', 'isolinux'],
  ...['syslinux-common', 'pxelinux', 'grub-efi-amd64-bin', 'createrepo-c'],
];

/**
 * The product, built when it is not there yet: half a minute. It is kept below .setup, named by what it is made of, for
 * the next test.
 */
export async function testProduct(): Promise<Product> {
  const kept = join(packageRoot(), '.setup/product');
  const directory = join(kept, await recipe());
  const release = await readFile(join(directory, 'release'), 'utf8').catch(() => undefined);
  if (release !== undefined) return productIn(directory, release);
  await mkdir(kept, { recursive: true });
  const building = await mkdtemp(join(kept, 'building-'));
  try {
    await build(building);
    // Another test may have come first: then its product serves as well.
    await rename(building, directory).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'ENOTEMPTY') throw error;
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  await removeOld(kept);
  return productIn(directory, await readFile(join(directory, 'release'), 'utf8'));
}

/** Removes products that were made a day ago or earlier; a test may still use a younger one. */
async function removeOld(kept: string): Promise<void> {
  for (const name of await readdir(kept)) {
    const path = join(kept, name);
    const made = await stat(path).catch(() => undefined);
    if (made !== undefined && made.mtimeMs < Date.now() - 86_400_000)
      await rm(path, { recursive: true, force: true });
  }
}

function productIn(directory: string, release: string): Product {
  const [iso, tree, drivers] = ['product.iso', 'tree', 'drivers'].map((name) => join(directory, name));
  return { iso: iso ?? '', tree: tree ?? '', drivers: drivers ?? '', release };
}

/** A digest over what the product is made by and made of. */
async function recipe(): Promise<string> {
  const hash = createHash('sha256');
  const source = join(packageRoot(), 'test/product');
  for (const name of (await readdir(source, { recursive: true })).sort()) {
    const path = join(source, name);
    if ((await stat(path)).isFile() && !name.endsWith('.test.ts'))
      hash.update(name).update(await readFile(path));
  }
  const versions = await promisify(execFile)('dpkg-query', [
    '-W',
    '-f',
    '${Package} ${Version}\n',
    ...ingredients,
  ]).catch((error: unknown) => ({ stdout: (error as { stdout?: string }).stdout ?? '' }));
  return hash.update(versions.stdout).digest('hex').slice(0, 16);
}

async function build(directory: string): Promise<void> {
  const work = join(directory, 'work');
  const tree = join(directory, 'tree');
  await mkdir(work);
  await mkdir(tree);
  const release = await makeInstallImage(join(tree, 'install.img'), join(directory, 'drivers'), work);
  await addBootFiles(tree, work);
  await buildPackages(productPackages, join(tree, 'Packages'), join(work, 'rpmbuild'));
  // Outside of the checkout: GnuPG's sockets have short names.
  const home = await mkdtemp(join(tmpdir(), 'rackboot-gpg-'));
  const key = await makeKey(home, 'Test product <product@rack.example>');
  try {
    await signTree(tree, key);
  } finally {
    await releaseKey(key);
    await rm(home, { recursive: true, force: true });
  }
  await makeIso(tree, join(directory, 'product.iso'));
  await rm(work, { recursive: true });
  await writeFile(join(directory, 'release'), release);
}

async function signTree(tree: string, key: SigningKey): Promise<void> {
  await signPackages(join(tree, 'Packages'), key);
  await writeFile(join(tree, '.treeinfo'), treeinfo);
  await exportKey(tree, key);
  await runProgram(['createrepo_c', '--quiet', '--general-compress-type=gz', tree], 'createrepo-c');
  await signMetadata(tree, key);
}
