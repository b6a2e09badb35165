import { appendFile, cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { BootSource } from '../../src/demo/qemu.js';
import { detailOf, LabSite, orderOf, type LabNode } from '../e2e/lab-site.js';
import {
  makeInstallerRepository,
  writeCheckout,
  type InstallerRepository,
} from '../osimage/create/installer-repository.js';
import { install, INSTALLATION_LIMIT_MS, RACK_ARGUMENT } from '../product/installation.js';
import { installedPackages } from '../product/packages.js';
import { makeKey, releaseKey, type SigningKey } from '../product/signing-key.js';

const bios: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:06:01', ip: '10.77.0.81' };
const uefi: LabNode = { name: 'n2', firmware: 'uefi', mac: '52:54:00:77:06:02', ip: '10.77.0.82' };

let site: LabSite;
let key: SigningKey;

test.before(async (t) => {
  t.timeout(600_000);
  key = await makeKey(await mkdtemp(join(tmpdir(), 'rackboot-gpg-')), 'Site <site@rack.example>');
  site = await LabSite.open([bios, uefi], async (opened) => {
    const made = await makeInstallerRepository(join(opened.dir, 'made'), key);
    await createOsimage(opened, made);
  });
});

test.after.always(async () => {
  await site?.close();
  if (key === undefined) return;
  await releaseKey(key);
  await rm(key.home, { recursive: true, force: true });
});

/** Osimage `xcp`, of packages; its installer gets the driver that it lacks, and an answer file. */
async function createOsimage(opened: LabSite, made: InstallerRepository): Promise<void> {
  const checkout = await writeCheckout(join(opened.dir, 'checkout'));
  await appendFile(
    join(opened.dir, 'site/rackboot.yaml'),
    `signing:\n  by: gnupg\n  name: site\n  gnupg: { home: ${key.home}, key: site@rack.example }\n`,
  );
  const layer = join(opened.dir, 'rack7');
  await mkdir(join(layer, 'drivers'), { recursive: true });
  for (const module of await readdir(made.drivers))
    await cp(join(made.drivers, module), join(layer, 'drivers', module));
  await writeFile(join(layer, 'bootargs'), `${RACK_ARGUMENT}\n`);
  const source = ['--srcurl', `file://${made.packages}`, '--efi-installer', 'mkimage'];
  await opened.rackboot('image', 'create', 'xcp', '--layers', checkout, ...source);
  await opened.rackboot('image', 'build', 'xcp', '--layers', `${layer}:xcp-ng-8.3`);
}

async function installs(t: ExecutionContext, node: LabNode, boot: BootSource): Promise<void> {
  const { said, events } = await install(site, node, boot);
  const firmware = node.firmware === 'bios' ? 'BIOS' : 'UEFI';
  t.regex(said, new RegExp(`^kernel \\S+, hypervisor xen, booted by ${firmware}$`, 'm'));
  t.regex(said, new RegExp(`^kernel line: .*${RACK_ARGUMENT}`, 'm'));
  t.regex(said, /^repomd\.xml: good signature$/m);
  t.true(said.includes(`installed ${installedPackages.length} packages, package signatures checked`), said);
  const stages = ['answer', 'installing', 'populated', 'installed'];
  t.deepEqual(orderOf(events, stages), stages);
  t.is(detailOf(events, 'populated'), `${installedPackages.length} packages`);
}

test.serial('an installer made of packages boots by BIOS over the network, and installs', async (t) => {
  t.timeout(INSTALLATION_LIMIT_MS + 60_000);
  await site.rackboot('nodeset', 'n1', 'osimage=xcp');
  await installs(t, bios, { kind: 'network' });
});

for (const node of [bios, uefi]) {
  test.serial(
    `its ISO boots by ${node.firmware}, by the loaders of its packages, and installs`,
    async (t) => {
      t.timeout(INSTALLATION_LIMIT_MS + 60_000);
      const path = join(site.dir, 'node.iso');
      await site.rackboot('nodeset', node.name, 'osimage=xcp');
      await rm(path, { force: true });
      await site.rackboot('image', 'iso', 'xcp', '-o', path, '--node', node.name);
      await installs(t, node, { kind: 'cdrom', path });
    },
  );
}
