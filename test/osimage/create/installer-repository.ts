import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { grubConfig, isolinuxConfig, isolinuxMessage } from '../../product/boot-configs.js';
import { packagedFile, runProgram } from '../../product/commands.js';
import { DONOR, DONOR_PACKAGE, makeInstallRoot } from '../../product/install-image.js';
import { buildPackages, productPackages } from '../../product/packages.js';
import { signPackages, type SigningKey } from '../../product/signing-key.js';
import { buildTreePackages, type TreePackage } from './tree-packages.js';

const XEN = '/boot/xen-4.17-amd64.gz';
const SYSLINUX = '/usr/lib/syslinux/modules/bios';

/** A repository that an installer can be made of: the test product's system, taken apart into packages. */
export interface InstallerRepository {
  readonly packages: string; // the repository, made by createrepo_c
  readonly drivers: string; // modules that the installer lacks
  readonly release: string; // of its kernel
}

/**
 * Makes the repository in `directory`. The system's own packages are `system` (busybox, rpm, directories), `modules`, whose
 * script leaves the time in the image, and `installer` with /init; those of the medium have XCP-ng's names. `key` signs them.
 */
export async function makeInstallerRepository(
  directory: string,
  key?: SigningKey,
): Promise<InstallerRepository> {
  const work = await mkdtemp(join(tmpdir(), 'rackboot-installer-'));
  const packages = join(directory, 'repository');
  const drivers = join(directory, 'drivers');
  try {
    const root = join(work, 'root');
    const release = await makeInstallRoot(root, drivers, join(work));
    await writeFile(join(root, 'etc/shadow'), 'root:!:19000:0:99999:7:::\n', { mode: 0o600 });
    await writeFile(join(root, 'etc/group'), 'root:x:0:\nmail:x:8:\n');
    await writeFile(join(root, 'EULA'), 'Licence of the test product.\n');
    await buildTreePackages(packages, [...systemPackages(root), ...(await mediumPackages(work, release))]);
    const others = productPackages.filter(({ name }) => name !== 'kernel');
    await buildPackages(others, packages, join(work, 'product'));
    if (key !== undefined) await signPackages(packages, key);
    await runProgram(['createrepo_c', '--quiet', '--general-compress-type=gz', packages], 'createrepo-c');
    return { packages, drivers, release };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function systemPackages(root: string): TreePackage[] {
  const system = [
    '/bin',
    '/sbin',
    '/usr',
    '/dev',
    '/proc',
    '/sys',
    '/tmp',
    '/mnt',
    '/etc',
    '/root',
    '/lib64',
    '/EULA',
  ];
  return [
    {
      name: 'system',
      root,
      only: [...system, '/lib/x86_64-linux-gnu', '/lib64'],
      provides: ['/bin/sh'],
      attributes: {
        '/proc': '0555, root, root',
        '/etc/shadow': '0000, root, root',
        '/usr/bin/rpm': '4755, root, root',
      },
    },
    {
      name: 'modules',
      root,
      only: ['/lib/modules'],
      requires: ['system'],
      // What scripts of packages do: they write when, give a user a day, and leave what another run leaves otherwise.
      post: [
        'mkdir -p /var/lib/modules /var/log /var/cache/ldconfig /etc',
        'date +%s%N > /var/log/dnf.log',
        'date +%s%N > /var/cache/ldconfig/aux-cache',
        'echo "made by a script" > /var/lib/modules/made',
        'echo "service:!:$(( $(date +%s) / 86400 ))::::::" >> /etc/shadow',
        'head -c 16 /dev/urandom | od -An -tx1 | tr -d " " > /etc/machine-id',
        'echo gone > /dev/null',
      ].join('\n'),
    },
    { name: 'installer', root, only: ['/opt', '/init'], requires: ['system', 'modules'] },
  ];
}

/** The packages that create-iso takes a medium's boot files from, of Debian's. */
async function mediumPackages(work: string, release: string): Promise<TreePackage[]> {
  const place = async (
    name: string,
    files: Readonly<Record<string, readonly [string, string]>>,
  ): Promise<TreePackage> => {
    const root = join(work, 'medium', name);
    await mkdir(root, { recursive: true });
    for (const [at, [from, debian]] of Object.entries(files)) {
      await packagedFile(from, debian);
      await mkdir(dirname(join(root, at)), { recursive: true });
      await copyFile(from, join(root, at));
    }
    return { name, root };
  };
  const kernel = await place('kernel', {
    [`boot/vmlinuz-${release}`]: [join(DONOR, 'linux'), DONOR_PACKAGE],
  });
  await mkdir(join(kernel.root ?? '', 'usr/share/product'), { recursive: true });
  await writeFile(join(kernel.root ?? '', 'usr/share/product/kernel'), 'kernel\n');
  const modules = ['mboot.c32', 'menu.c32', 'ldlinux.c32', 'libcom32.c32', 'libutil.c32'];
  const syslinux: Record<string, readonly [string, string]> = {
    'usr/share/syslinux/isolinux.bin': ['/usr/lib/ISOLINUX/isolinux.bin', 'isolinux'],
    'usr/share/syslinux/pxelinux.0': ['/usr/lib/PXELINUX/pxelinux.0', 'pxelinux'],
  };
  for (const name of modules)
    syslinux[`usr/share/syslinux/${name}`] = [join(SYSLINUX, name), 'syslinux-common'];
  const branding = join(work, 'medium/branding/usr/src/branding');
  await mkdir(branding, { recursive: true });
  await writeFile(join(branding, 'EULA'), 'Licence of the test product.\n');
  await writeFile(join(branding, 'LICENSES'), 'Licences of its parts.\n');
  await writeFile(
    join(branding, 'branding'),
    "PLATFORM_NAME='XCP'\nPLATFORM_VERSION='3.4.0'\nPRODUCT_BRAND='XCP-ng'\nPRODUCT_VERSION='8.3.0'\n",
  );
  return [
    { ...kernel, version: '6.1.0+1', requires: ['xcp-ng-release'] },
    await place('xen-hypervisor', { 'boot/xen-4.17-d.gz': [XEN, 'xen-hypervisor-4.17-amd64'] }),
    await place('syslinux', syslinux),
    { name: 'branding-xcp-ng', root: join(work, 'medium/branding') },
  ];
}

/** Writes a checkout in create-install-image's shape: configs/ and templates/ below `top`. Gives back the layer to name. */
export async function writeCheckout(
  top: string,
  packages: readonly string[] = ['installer'],
): Promise<string> {
  const files: Readonly<Record<string, string>> = {
    'configs/8.3/packages.lst': `# what the installer is made of\n${packages.join('\n')}\n`,
    'configs/8.3/yum.conf.tmpl':
      '[main]\ncachedir=@@CACHEDIR@@\nreposdir=@@YUMREPOSD@@\ngpgcheck=0\nexactarch=1\n',
    'configs/8.3/yumdl.conf.tmpl':
      '[main]\ncachedir=@@CACHEDIR@@\nreposdir=@@YUMREPOSD@@\nplugins=@@ENABLE_PLUGINS@@\n',
    'configs/8.3/INCLUDE': 'base\n',
    'configs/base/yum-repos.conf.tmpl':
      '[base]\nname=base\nbaseurl=@@SRCURL@@/\ngpgcheck=0\nfailovermethod=priority\nskip_if_unavailable=False\n',
    'configs/base/CUSTOMREPO.tmpl': '[@@REPOID@@]\nname=@@REPOID@@\nbaseurl=@@REPOURL@@\ngpgcheck=0\n',
    'templates/installimg/8.3/etc/issue': 'Made of packages.\n',
    'templates/iso/8.3/.treeinfo': TREEINFO,
    'templates/iso/8.3/boot/isolinux/isolinux.cfg': isolinuxConfig,
    'templates/iso/8.3/boot/isolinux/pg_main': isolinuxMessage,
    'templates/iso/8.3/EFI/xenserver/grub.cfg': grubConfig,
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(top, name)), { recursive: true });
    await writeFile(join(top, name), text);
  }
  return join(top, 'configs/8.3');
}

const TREEINFO = `[platform]
name = @@PLATFORM_NAME@@
version = @@PLATFORM_VERSION@@

[branding]
name = @@PRODUCT_BRAND@@
version = @@PRODUCT_VERSION@@

[build]
number = test

[general]
timestamp = @@TIMESTAMP@@

[keys]
key1 = RPM-GPG-KEY-somebody
`;
