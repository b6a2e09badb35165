import { join } from 'node:path';
import test from 'ava';
import { detailOf, openInstallerSite, orderOf, type LabNode } from './installer.js';
import type { LabSite } from './lab-site.js';

const bios: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:00:01', ip: '10.77.0.11' };
const uefi: LabNode = { name: 'n2', firmware: 'uefi', mac: '52:54:00:77:00:02', ip: '10.77.0.12' };

let site: LabSite;

test.before(async (t) => {
  t.timeout(120_000);
  site = await openInstallerSite([bios, uefi]);
});

test.after.always(async () => {
  await site?.close();
});

for (const [node, kind] of [
  [bios, 'cdrom'],
  [uefi, 'usb'],
] as const) {
  test.serial(`the installer boots from the node’s ISO and reports: ${node.firmware}, ${kind}`, async (t) => {
    const path = join(site.dir, `${node.name}.iso`);
    await site.rackboot('nodeset', node.name, 'osimage=d12');
    await site.rackboot('image', 'iso', 'd12', '-o', path, '--node', node.name);
    const events = await site.bootUntil(node, { kind, path }, ['dhcp', 'preseed', 'answer', 'installing']);
    t.is(detailOf(events, 'preseed'), 'rackboot debian-installer layer');
    t.is(detailOf(events, 'installing'), 'd12');
    t.deepEqual(
      orderOf(events, ['script', 'kernel', 'initrd']),
      [],
      'nothing of the boot came over the network',
    );
    const [status] = JSON.parse(await site.rackboot('--json', 'status', node.name)) as unknown[];
    t.like(status, { node: node.name, state: 'osimage', osimage: 'd12', stage: 'installing' });
  });
}
