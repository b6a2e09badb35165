import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** What imgexport's bundle of a stateless image says, by element; '' leaves one out. */
export type Fields = Readonly<Record<string, string>>;

const ROOTIMGDIR = '/install/netboot/rocky9.4/x86_64/compute';
const OSIMAGE = [
  'imagename',
  'imagetype',
  'osarch',
  'osname',
  'osvers',
  'profile',
  'provmethod',
  'synclists',
];

/** A usual one. */
export const STATELESS: Fields = {
  imagename: 'rocky9.4-x86_64-netboot-compute',
  imagetype: 'linux',
  osarch: 'x86_64',
  osname: 'Linux',
  osvers: 'rocky9.4',
  profile: 'compute',
  provmethod: 'netboot',
  synclists: '/install/s.synclist',
  exlist: '/opt/xcat/share/xcat/netboot/rocky/compute.rocky9.x86_64.exlist',
  permission: '755',
  pkglist: '/install/custom/netboot/rocky/c.pkglist',
  rootimgdir: ROOTIMGDIR,
};

const PLACES: Fields = {
  kernel: `${ROOTIMGDIR}/kernel`,
  ramdisk: `${ROOTIMGDIR}/initrd-stateless.gz`,
  rootimg: `${ROOTIMGDIR}/rootimg.cpio.gz`,
};

/** Its manifest.xml; `more` stands below the root. */
export function manifestXml(fields: Fields = STATELESS, places: Fields = PLACES, more = ''): string {
  const lines = (names: readonly string[]): string =>
    names.map((name) => `    <${name}>${fields[name] ?? ''}</${name}>\n`).join('');
  const named = Object.keys(fields).filter((name) => fields[name] !== '');
  return [
    '<?xml version="1.0"?>\n<xcatimage>\n',
    ...Object.entries(places).map(([name, value]) => `  <${name}>${value}</${name}>\n`),
    `  <linuximage>\n${lines(named.filter((name) => !OSIMAGE.includes(name)))}  </linuximage>\n`,
    `  <osimage>\n${lines(named.filter((name) => OSIMAGE.includes(name)))}  </osimage>\n`,
    more,
    '</xcatimage>\n',
  ].join('');
}

/** The files of a usual bundle below its directory; rootimg.cpio.gz is made of `root`, by GNU cpio and gzip. */
export async function bundleFiles(
  work: string,
  root: Readonly<Record<string, string>> = { 'etc/motd': 'before\n', 'etc/hosts': '' },
): Promise<Record<string, Buffer | string>> {
  const dir = await mkdtemp(path.join(work, 'root-'));
  for (const [name, text] of Object.entries(root)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  const rootimg = execFileSync('bash', ['-c', 'find . | sort | cpio -o -H newc --quiet | gzip -n'], {
    cwd: dir,
  });
  await rm(dir, { recursive: true });
  return {
    'manifest.xml': manifestXml(),
    kernel: 'kernel',
    'initrd-stateless.gz': 'initrd',
    'rootimg.cpio.gz': rootimg,
    'compute.rocky9.x86_64.exlist': './usr/share/doc*\n',
    'c.pkglist': 'bash\n',
    's.synclist': '/etc/hosts -> /etc/hosts\n',
  };
}

/** Writes a bundle as imgexport does, by GNU tar: `files` below the directory `image`. */
export async function writeBundle(
  file: string,
  files: Readonly<Record<string, Buffer | string>>,
  { image = 'image', options = ['-z'] }: { image?: string; options?: readonly string[] } = {},
): Promise<string> {
  const dir = await mkdtemp(`${file}.`);
  for (const [name, bytes] of Object.entries(files)) {
    const at = path.join(dir, image, name);
    await mkdir(path.dirname(at), { recursive: true });
    await writeFile(at, bytes);
  }
  execFileSync('tar', ['-C', dir, ...options, '-cf', file, '.']);
  await rm(dir, { recursive: true });
  return file;
}
