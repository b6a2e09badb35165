import { appendFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { BootSource } from '../../src/demo/qemu.js';
import type { LabNode, LabSite } from '../e2e/lab-site.js';
import { assertInstalled, assertStopped } from '../product/assertions.js';
import { addOsimage, install, INSTALLATION_LIMIT_MS, openProductSite } from '../product/installation.js';
import type { Product } from '../product/product.js';
import { makeKey, releaseKey, signMetadata } from '../product/signing-key.js';

const bios: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:04:01', ip: '10.77.0.61' };
const uefi: LabNode = { name: 'n2', firmware: 'uefi', mac: '52:54:00:77:04:02', ip: '10.77.0.62' };
const network = { kind: 'network' } as const;

let site: LabSite;
let product: Product;

test.before(async (t) => {
  t.timeout(300_000);
  ({ site, product } = await openProductSite([bios, uefi]));
});

test.after.always(async () => {
  await site?.close();
});

test.serial('the product itself boots from its own medium', async (t) => {
  t.timeout(INSTALLATION_LIMIT_MS + 60_000);
  const said = await site.withMachine(bios, { kind: 'cdrom', path: product.iso }, async (machine) => {
    await machine.ended;
    return machine.serial.text;
  });
  t.regex(said, /installer: kernel \S+, hypervisor xen, booted by BIOS/);
  t.regex(said, /installer: no answerfile= on the kernel line/);
});

test.serial('a UEFI machine boots Xen over the network, installs unattended, and reports', async (t) => {
  t.timeout(INSTALLATION_LIMIT_MS + 60_000);
  await site.rackboot('nodeset', 'n2', 'osimage=xcp');
  await assertInstalled(t, site, uefi, await install(site, uefi, network));
});

test.serial('another entry of the medium’s menu is chosen by nodeset', async (t) => {
  t.timeout(INSTALLATION_LIMIT_MS + 60_000);
  await site.rackboot('nodeset', 'n1', 'osimage=xcp:multipath');
  const installation = await install(site, bios, network);
  await assertInstalled(t, site, bios, installation);
  t.regex(installation.said, /^kernel line: .*device_mapper_multipath=enabled/m);
});

const media: readonly (readonly [string, LabNode, BootSource['kind']])[] = [
  ['BIOS machine installs from the ISO as CD', bios, 'cdrom'],
  ['BIOS machine installs from the ISO as USB disk', bios, 'usb'],
  ['UEFI machine installs from the ISO as CD', uefi, 'cdrom'],
  ['UEFI machine installs from the ISO as USB disk', uefi, 'usb'],
];

for (const [name, node, kind] of media) {
  test.serial(`a ${name}, and reports`, async (t) => {
    t.timeout(INSTALLATION_LIMIT_MS + 60_000);
    const path = join(site.dir, 'node.iso');
    await site.rackboot('nodeset', node.name, 'osimage=xcp');
    await rm(path, { force: true });
    await site.rackboot('image', 'iso', 'xcp', '-o', path, '--node', node.name);
    const boot: BootSource = kind === 'network' ? { kind } : { kind, path };
    await assertInstalled(t, site, node, await install(site, node, boot));
  });
}

/** What is done to the tree between its maker and its reader, and what the installer says of it. */
const tampered: readonly (readonly [string, (tree: string) => Promise<unknown>, string])[] = [
  [
    'package',
    async (tree) => {
      const [name = ''] = (await readdir(join(tree, 'Packages'))).filter((file) =>
        file.startsWith('xapi-core'),
      );
      await appendFile(join(tree, 'Packages', name), 'x');
    },
    'Cannot find valid rpm for xapi-core-24.19.2-1.noarch.rpm',
  ],
  [
    'repomd',
    async (tree) => {
      const path = join(tree, 'repodata/repomd.xml');
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace(/<revision>\d+/, '<revision>1'));
    },
    'Repository signature verification failure',
  ],
  [
    'signature',
    async (tree) => {
      const key = await makeKey(join(site.dir, 'gpg'), 'Somebody else <else@rack.example>');
      await signMetadata(tree, key);
      await releaseKey(key);
    },
    'Repository signature verification failure',
  ],
];

for (const [what, tamper, reason] of tampered) {
  test.serial(`a tampered ${what} stops the installation, and says so`, async (t) => {
    t.timeout(INSTALLATION_LIMIT_MS + 60_000);
    const tree = join(site.dir, `tampered-${what}`);
    await mkdir(tree);
    await cp(product.tree, tree, { recursive: true });
    await tamper(tree);
    await addOsimage(site, product, `xcp-${what}`, tree);
    await site.rackboot('nodeset', 'n1', `osimage=xcp-${what}`);
    await assertStopped(t, site, bios, await install(site, bios, network), reason);
  });
}

test.serial(
  'an unsigned tree is installed with that check off, in the one way that the installer takes',
  async (t) => {
    t.timeout(INSTALLATION_LIMIT_MS + 60_000);
    const tree = join(site.dir, 'unsigned');
    await cp(product.tree, tree, { recursive: true });
    await rm(join(tree, 'repodata/repomd.xml.asc'));
    // As create-iso writes it into the menus of an unsigned medium; with an answer file the installer dies of it.
    for (const menu of ['boot/isolinux/isolinux.cfg', 'EFI/xenserver/grub.cfg']) {
      const text = await readFile(join(tree, menu), 'utf8');
      await writeFile(join(tree, menu), text.replaceAll('/boot/vmlinuz ', '/boot/vmlinuz no-repo-gpgcheck '));
    }
    await addOsimage(site, product, 'xcp-unsigned', tree);
    t.regex(await site.rackboot('image', 'show', 'xcp-unsigned'), /no-repo-gpgcheck/);
    await site.rackboot('nodeset', 'n1', 'osimage=xcp-unsigned');
    const { said, events } = await install(site, bios, network);
    t.notRegex(said, /^kernel line: .*gpgcheck/m);
    t.regex(said, /^repomd\.xml: signature not checked$/m);
    t.regex(said, /^installed \d+ packages, package signatures checked$/m);
    t.true(events.some(({ stage }) => stage === 'installed'));
  },
);
