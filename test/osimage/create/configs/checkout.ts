import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

const repository = (layer: string): string => `[${layer}]
name=${layer}
baseurl=@@SRCURL@@/${layer}/@@RPMARCH@@/
failovermethod=priority
skip_if_unavailable=False
gpgcheck=0
`;

/** Files of a checkout in create-install-image's shape: its layers, its templates for 8.2 and 8.3, its scripts. */
const FILES: Readonly<Record<string, string>> = {
  'README.md': 'A checkout in the shape of create-install-image.\n',
  'scripts/create-installimg.sh': '#!/bin/bash\n',
  'configs/8.3/packages.lst': `# the installer
host-installer 'quoted-name'  # and why
kernel kernel-alt
`,
  'configs/8.3/yum.conf.tmpl':
    '[main]\ncachedir=@@CACHEDIR@@\nreposdir=@@YUMREPOSD@@\nkeepcache=1\ngpgcheck=0\n',
  'configs/8.3/yumdl.conf.tmpl':
    '[main]\ncachedir=@@CACHEDIR@@\nreposdir=@@YUMREPOSD@@\nplugins=@@ENABLE_PLUGINS@@\n',
  'configs/8.2/packages.lst': 'host-installer\n',
  'configs/8.2/yum.conf.tmpl': '[main]\n',
  'configs/8.2/yumdl.conf.tmpl': '[main]\n',
  'configs/base/yum-repos.conf.tmpl': repository('base'),
  'configs/base/CUSTOMREPO.tmpl':
    '[@@REPOID@@]\nname=@@REPOID@@\nbaseurl=@@REPOURL@@/@@RPMARCH@@/\ngpgcheck=0\n',
  'configs/base/grub-efiboot-cfg.patch': '--- a\n+++ b\n',
  'configs/updates/yum-repos.conf.tmpl': repository('updates'),
  'configs/updates/INCLUDE': 'base\n',
  'configs/candidates/yum-repos.conf.tmpl': repository('candidates'),
  'configs/candidates/INCLUDE': 'updates\n',
  'configs/testing/yum-repos.conf.tmpl': repository('testing'),
  'configs/testing/INCLUDE': 'candidates\n',
  'configs/nokey/installer-bootargs.lst': 'no-gpgcheck\n',
  'configs/verbose/installer-bootargs.lst': 'console=ttyS0 # the serial one\nloglevel=7\n',
  'templates/installimg/8.3/etc/installer/edition': 'checkout\n',
  'templates/installimg/8.3/opt/run': '#!/bin/sh\n',
  'templates/installimg/8.2/etc/installer/edition': 'checkout 8.2\n',
  'templates/iso/8.3/.treeinfo': '[branding]\nname = @@PRODUCT_BRAND@@\nversion = @@PRODUCT_VERSION@@\n',
  'templates/iso/8.3/boot/isolinux/isolinux.cfg': 'label install\n',
  'templates/iso/8.3/EFI/xenserver/grub.cfg': 'set timeout=5\n',
  'templates/iso/8.3/boot/isolinux/pg_main': 'the checkout’s page\n',
  'templates/iso/8.3/RPM-GPG-KEY-rack': 'a key\n',
  'templates/iso/8.2/RPM-GPG-KEY-rack': 'another key\n',
};

/** Lays out that checkout below `dir`, with `more` files; null leaves one out. */
export async function writeCheckout(
  dir: string,
  more: Readonly<Record<string, string | null>> = {},
): Promise<void> {
  for (const [name, text] of Object.entries({ ...FILES, ...more })) {
    if (text === null) continue;
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  }
  await chmod(path.join(dir, 'templates/installimg/8.3/opt/run'), 0o755);
  const units = path.join(dir, 'templates/installimg/8.3/etc/systemd/system');
  await mkdir(units, { recursive: true });
  await symlink('/dev/null', path.join(units, 'ldconfig.service'));
}
