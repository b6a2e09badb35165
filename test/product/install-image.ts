import { execFile } from 'node:child_process';
import { appendFile, chmod, copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/site/assets.js';
import { packagedFile, runProgram } from './commands.js';

const execute = promisify(execFile);

/** Debian's installer: its kernel is a dom0 kernel, its initrd holds the modules that go with it. */
export const DONOR = '/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64';
export const DONOR_PACKAGE = 'debian-installer-12-netboot-amd64';

/** Modules of the product's install.img, by the end of their paths. */
const shipped = [
  'e1000',
  'virtio',
  'virtio_ring',
  'virtio_pci',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
];

/** Modules that it lacks: the driver of virtio network cards. A layer brings them. */
export const driverModules = ['failover', 'net_failover', 'virtio_net'];

const programs: readonly (readonly [string, string])[] = [
  ['/usr/bin/busybox', 'busybox'],
  ['/usr/bin/rpm', 'rpm'],
  ['/usr/bin/rpmkeys', 'rpm'],
  ['/usr/bin/gpgv', 'gpgv'],
];

/**
 * Makes install.img at `image` (bzip2, newc) and puts the modules that it lacks into `drivers`. Gives back the release
 * of its kernel.
 */
export async function makeInstallImage(image: string, drivers: string, work: string): Promise<string> {
  const root = join(work, 'root');
  const release = await makeInstallRoot(root, drivers, work);
  await execute('sh', [
    ...['-c', 'cd "$0" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | bzip2 -9 > "$1"'],
    ...[root, image],
  ]);
  return release;
}

/** The root file system of install.img, in `root`; otherwise as makeInstallImage. */
export async function makeInstallRoot(root: string, drivers: string, work: string): Promise<string> {
  for (const directory of [
    'bin',
    'sbin',
    'dev',
    'proc',
    'sys',
    'tmp',
    'mnt',
    'etc',
    'root',
    'usr/bin',
    'usr/sbin',
  ]) {
    await mkdir(join(root, directory), { recursive: true });
  }
  for (const [program, packageName] of programs) await addProgram(root, program, packageName);
  const { stdout: applets } = await execute('/usr/bin/busybox', ['--list']);
  const taken = new Set(programs.map(([program]) => basename(program)));
  for (const applet of applets.trim().split('\n')) {
    if (!taken.has(applet)) await symlink('/usr/bin/busybox', join(root, 'bin', applet));
  }
  await addRpmConfiguration(root);
  await addInstaller(root);
  const release = await addModules(root, drivers, work);
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
  return release;
}

/** A program and the libraries that the dynamic linker would load for it. */
async function addProgram(root: string, program: string, packageName: string): Promise<void> {
  await packagedFile(program, packageName);
  const { stdout } = await execute('ldd', [program]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  for (const file of [program, ...libraries]) {
    await mkdir(join(root, dirname(file)), { recursive: true });
    await copyFile(file, join(root, file));
  }
}

/** rpm's own settings; it refuses to run without. */
async function addRpmConfiguration(root: string): Promise<void> {
  await mkdir(join(root, 'usr/lib/rpm'), { recursive: true });
  for (const file of ['rpmrc', 'macros', 'rpmpopt-4.18.0']) {
    await writeFile(
      join(root, 'usr/lib/rpm', file),
      await packagedFile(`/usr/lib/rpm/${file}`, 'rpm-common'),
    );
  }
  // Debian's is in the user's home, as apt has the say there.
  await appendFile(join(root, 'usr/lib/rpm/macros'), '\n%_dbpath /var/lib/rpm\n');
}

async function addInstaller(root: string): Promise<void> {
  const source = join(packageRoot(), 'test/product/installer');
  const target = join(root, 'opt/installer');
  await mkdir(target, { recursive: true });
  for (const file of await readdir(source)) {
    await copyFile(join(source, file), join(file === 'init' ? root : target, file));
  }
  await chmod(join(root, 'init'), 0o755);
}

/** The donor's modules: some into the image, indexed; the drivers that it lacks into `drivers`. */
async function addModules(root: string, drivers: string, work: string): Promise<string> {
  const donor = join(work, 'donor');
  await mkdir(donor);
  await packagedFile(join(DONOR, 'initrd.gz'), DONOR_PACKAGE);
  await execute('sh', [
    ...[
      '-c',
      'cd "$0" && gzip -dc "$1" | cpio --quiet -idm "lib/modules/*"',
      donor,
      join(DONOR, 'initrd.gz'),
    ],
  ]);
  const [release = ''] = await readdir(join(donor, 'lib/modules'));
  const modules = join(root, 'lib/modules', release);
  await mkdir(modules, { recursive: true });
  await mkdir(drivers, { recursive: true });
  const all = (await readdir(join(donor, 'lib/modules', release), { recursive: true })).filter((path) =>
    path.endsWith('.ko'),
  );
  for (const path of all) {
    const name = basename(path, '.ko');
    const from = join(donor, 'lib/modules', release, path);
    if (driverModules.includes(name)) await copyFile(from, join(drivers, basename(path)));
    if (!shipped.includes(name)) continue;
    await mkdir(dirname(join(modules, path)), { recursive: true });
    await copyFile(from, join(modules, path));
  }
  for (const list of ['modules.builtin', 'modules.order']) {
    const text = await readFile(join(donor, 'lib/modules', release, list)).catch(() => Buffer.alloc(0));
    await writeFile(join(modules, list), text);
  }
  await runProgram(['depmod', '-b', root, release], 'kmod');
  return release;
}
