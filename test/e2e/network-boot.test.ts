import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { sha256 } from '../../src/store/digest.js';
import { detailOf, openInstallerSite, installerMedia, orderOf, type LabNode } from './installer.js';
import type { LabSite } from './lab-site.js';

const bios: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:00:01', ip: '10.77.0.11' };
const uefi: LabNode = { name: 'n2', firmware: 'uefi', mac: '52:54:00:77:00:02', ip: '10.77.0.12' };
const network = { kind: 'network' } as const;

let site: LabSite;

test.before(async (t) => {
  t.timeout(120_000);
  site = await openInstallerSite([bios, uefi]);
});

test.after.always(async () => {
  await site?.close();
});

test.serial('the kernel of the changed osimage is the vendor’s, byte for byte', async (t) => {
  const shown = JSON.parse(await site.rackboot('--json', 'image', 'show', 'd12')) as {
    files: { path: string; sha256: string }[];
  };
  const kernel = await readFile(join(installerMedia, 'debian-installer/amd64/linux'));
  t.is(shown.files.find((file) => file.path === 'linux')?.sha256, sha256(kernel));
});

test.serial('a BIOS machine boots the installer, which reads both answer files and reports', async (t) => {
  await site.rackboot('nodeset', 'n1', 'osimage=d12');
  const stages = ['script', 'kernel', 'initrd', 'answer', 'installing'];
  const events = await site.bootUntil(bios, network, ['dhcp', 'preseed', ...stages]);
  t.deepEqual(orderOf(events, stages), stages);
  t.is(detailOf(events, 'preseed'), 'rackboot debian-installer layer');
  t.is(detailOf(events, 'installing'), 'd12');
  await assertInstalling(t, 'n1', 2);
});

test.serial('after one file is changed, a UEFI machine boots the change', async (t) => {
  const edition = join(site.dir, 'edition');
  await writeFile(edition, 'one file changed\n');
  await site.rackboot('image', 'put', 'd12', `${edition}:/usr/lib/rackboot/edition`);
  await site.rackboot('nodeset', 'n2', 'osimage=d12');
  const stages = ['loader', 'script', 'kernel', 'initrd', 'answer', 'installing'];
  const events = await site.bootUntil(uefi, network, ['dhcp', 'preseed', ...stages]);
  t.deepEqual(orderOf(events, stages), stages);
  t.is(detailOf(events, 'preseed'), 'one file changed');
  await assertInstalling(t, 'n2', 3);
});

test.serial('a node that is set to its local disk gets no installer', async (t) => {
  await site.rackboot('nodeset', 'n1', 'boot');
  const after = await site.store.events.lastId();
  await site.withMachine(bios, network, (machine) =>
    machine.waitFor(/rackboot: n1\b.*disk/, { withinMs: 120_000 }),
  );
  const events = (await site.store.events.since(after, 100)).filter((event) => event.node === 'n1');
  t.true(events.some((event) => event.stage === 'local'));
  t.deepEqual(orderOf(events, ['kernel', 'initrd', 'answer']), []);
});

async function assertInstalling(
  t: { like(actual: unknown, expected: Record<string, unknown>): void },
  node: string,
  generationNumber: number,
): Promise<void> {
  const [status] = JSON.parse(await site.rackboot('--json', 'status', node)) as unknown[];
  t.like(status, { node, state: 'osimage', osimage: 'd12', stage: 'installing', generationNumber });
}
