import test from 'ava';
import { assertInstalled } from '../product/assertions.js';
import { install, INSTALLATION_LIMIT_MS, openProductSite } from '../product/installation.js';
import type { LabNode, LabSite } from './lab-site.js';

const node: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:03:01', ip: '10.77.0.51' };

let site: LabSite;

test.before(async (t) => {
  t.timeout(300_000);
  ({ site } = await openProductSite([node]));
});

test.after.always(async () => {
  await site?.close();
});

test('a BIOS machine boots Xen over the network, installs a signed tree unattended, and reports', async (t) => {
  t.timeout(INSTALLATION_LIMIT_MS + 60_000);
  await site.rackboot('nodeset', 'n1', 'osimage=xcp');
  const installation = await install(site, node, { kind: 'network' });
  await assertInstalled(t, site, node, installation);
});
