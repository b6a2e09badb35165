import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { parsePackageList } from '../../../src/osimage/create/configs/package-list.js';
import { packageRoot } from '../../../src/site/assets.js';
import { runProgram } from '../../cli/media.js';
import { output } from '../../image/programs.js';
import { buildRepository } from '../../../src/repo/build.js';
import { makePackages, workDirectory, type PackageSpec } from '../../repo/rpm-packages.js';
import { keyring } from '../../repo/signing-keys.js';

const SHIPPED = path.join(packageRoot(), 'configs');
const KEY = 'https://xcp-ng.org/RPM-GPG-KEY-xcpng';

/** What is in packages that an image or a medium takes files of; all others are empty. */
const files = (release: string): Readonly<Record<string, Record<string, string>>> => ({
  kernel: { '/boot/vmlinuz-4.19.0+1': 'a kernel\n' },
  'kernel-alt': { '/boot/vmlinuz-4.19.1': 'another kernel\n' },
  'xen-hypervisor': { '/boot/xen-4.17-d.gz': 'a hypervisor\n' },
  'memtest86+': { '/boot/memtest.bin': 'a test\n', '/boot/memtest.efi': 'a test for EFI\n' },
  syslinux: Object.fromEntries(
    ['isolinux.bin', 'pxelinux.0', 'mboot.c32', 'menu.c32'].map((name) => [
      `/usr/share/syslinux/${name}`,
      `${name}\n`,
    ]),
  ),
  'grub-efi': { '/boot/efi/EFI/xenserver/grubx64.efi': 'GRUB\n' },
  'branding-xcp-ng': {
    '/usr/src/branding/branding': `PLATFORM_NAME='XCP'\nPLATFORM_VERSION='3.4.0'\nPRODUCT_BRAND='XCP-ng'\nPRODUCT_VERSION='${release}.0'\n`,
    '/usr/src/branding/EULA': 'Licence.\n',
    '/usr/src/branding/LICENSES': 'Licences.\n',
  },
  systemd: {
    '/usr/lib/systemd/systemd': 'systemd\n',
    '/usr/lib/systemd/system/getty@.service': '[Service]\n[Install]\nWantedBy=getty.target\n',
  },
});

/** Repositories base and updates below `mirror`, laid out as the public ones of a release, signed. */
async function makeMirror(
  mirror: string,
  release: string,
  sign: (repository: string) => Promise<void>,
): Promise<void> {
  const list = path.join(SHIPPED, release, 'packages.lst');
  const contents = files(release);
  const names = new Set([
    ...parsePackageList(readFileSync(list, 'utf8'), list),
    ...Object.keys(contents),
    'xcp-ng-deps',
  ]);
  const base = [...names].map((name): PackageSpec => ({
    name,
    ...(contents[name] === undefined ? {} : { files: contents[name] }),
    ...(name === 'xcp-ng-deps' ? { requires: ['kernel', 'xcp-ng-release'] } : {}),
  }));
  const newer: PackageSpec = {
    name: 'xcp-ng-release',
    version: '2',
    files: { '/etc/os-release': 'updated\n' },
  };
  for (const [layer, packages] of [
    ['base', base],
    ['updates', [newer]],
  ] as const) {
    const repository = path.join(mirror, layer, 'x86_64');
    await makePackages(repository, packages);
    await sign(repository);
  }
}

for (const release of ['8.2', '8.3']) {
  test.serial(
    `image create makes ${release} of repositories laid out as the public ones, every check on`,
    async (t) => {
      t.timeout(300_000);
      const work = await workDirectory(t);
      const keys = await keyring(t);
      const key = await keys.make('Vendor');
      const [site, mirror] = [path.join(work, 'site'), path.join(work, 'mirror')];
      const rackboot = async (...words: string[]): Promise<string> => {
        const { status, out, err } = await runProgram(['--site', site, ...words]);
        if (status !== 0) throw new Error(`${words.join(' ')}: ${err}`);
        return out;
      };
      await makeMirror(mirror, release, async (repository) => {
        const packages = readdirSync(repository).map((name) => path.join(repository, name));
        await keys.signPackages(key, packages);
        await buildRepository({ dir: repository, revision: '1700000000' });
        const gpg = [`--homedir=${keys.home}`, '--batch', '--quiet', '--armor', `--local-user=${key}`];
        await output('gpg', [...gpg, '--detach-sign', path.join(repository, 'repodata/repomd.xml')]);
      });
      const keyFile = path.join(work, 'RPM-GPG-KEY-vendor');
      await writeFile(keyFile, await keys.publicKey(key));
      await rackboot('init');
      // A site that has no way to XCP-ng's key has layers of its own, with a key file.
      for (const layer of ['base', 'updates']) {
        const text = await readFile(path.join(SHIPPED, layer, 'yum-repos.conf.tmpl'), 'utf8');
        t.true(text.includes(`gpgkey=${KEY}\n`));
        await mkdir(path.join(site, 'layers', layer), { recursive: true });
        await writeFile(
          path.join(site, 'layers', layer, 'yum-repos.conf.tmpl'),
          text.replace(KEY, pathToFileURL(keyFile).href),
        );
      }
      await writeFile(path.join(site, 'layers/updates/INCLUDE'), 'base\n');
      await rackboot(
        'image',
        'create',
        'xcp',
        '--layers',
        `${release}:updates`,
        '--srcurl',
        `file://${mirror}`,
      );

      const shown = JSON.parse(await rackboot('--json', 'image', 'show', 'xcp')) as {
        boot: { label: string; kernel: string; args: string }[];
        tree: { path: string }[];
      };
      t.deepEqual(
        shown.boot.map(({ label }) => label),
        ['install', 'no-serial', 'safe', 'multipath', 'install-alt', 'shell', 'memtest'],
      );
      t.is(shown.boot[4]?.kernel, 'boot/alt/vmlinuz');
      const paths = shown.tree.map((file) => file.path);
      for (const wanted of ['.treeinfo', 'EULA', 'repodata/repomd.xml', 'boot/isolinux/pg_help'])
        t.true(paths.includes(wanted), wanted);
      t.is(paths.filter((name) => name.startsWith('Packages/')).length, 4);

      t.is(await rackboot('image', 'cat', 'xcp', '/etc/os-release'), 'updated\n');
      const units = await rackboot('image', 'files', 'xcp', '/etc/systemd/system');
      t.regex(units, /multi-user\.target\.wants\/installer\.service -> /);
      const console = release === '8.2' ? 'getty' : 'installer-getty';
      t.regex(units, new RegExp(`\\.target\\.wants/${console}@tty2\\.service -> `));
      t.is(await rackboot('image', 'cat', 'xcp', '/etc/systemd/system/ldconfig.service'), '');
      t.regex(await rackboot('image', 'files', 'xcp', '/usr/lib/rackboot'), /-rwxr-xr-x.*ssh-password/);

      await rackboot('image', 'verify', 'xcp');
      await rackboot('image', 'build', 'xcp', '--layers', `xcp-ng-${release}`, '--set', 'gpgcheck=false');
    },
  );
}
