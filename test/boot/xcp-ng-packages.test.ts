import { appendFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { LabNode, LabSite } from '../e2e/lab-site.js';
import { detailOf } from '../e2e/lab-site.js';
import { install, INSTALLATION_LIMIT_MS, openProductSite } from '../product/installation.js';
import { buildPackages, installedPackages, type ProductPackage } from '../product/packages.js';
import { makeKey, releaseKey, signPackages, type SigningKey } from '../product/signing-key.js';

const node: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:05:01', ip: '10.77.0.71' };

/** What the site adds: a newer package of the product, which needs one of the site's own. */
const sitePackages: readonly ProductPackage[] = [
  { name: 'xapi-core', version: '24.20.0', requires: ['xen-dom0-tools', 'site-agent'] },
  { name: 'site-agent', version: '1.0', requires: [] },
];

let site: LabSite;
let key: SigningKey;

test.before(async (t) => {
  t.timeout(300_000);
  key = await makeKey(await mkdtemp(join(tmpdir(), 'rackboot-gpg-')), 'Site <site@rack.example>');
  ({ site } = await openProductSite([node]));
});

test.after.always(async () => {
  await site?.close();
  if (key === undefined) return;
  await releaseKey(key);
  await rm(key.home, { recursive: true, force: true });
});

test('packages of a layer, signed by the site, are installed beside the vendor’s', async (t) => {
  t.timeout(INSTALLATION_LIMIT_MS + 120_000);
  const layer = join(site.dir, 'rack8');
  await mkdir(layer);
  await buildPackages(sitePackages, join(layer, 'packages'), join(site.dir, 'rpmbuild'));
  await signPackages(join(layer, 'packages'), key);
  await appendFile(
    join(site.dir, 'site/rackboot.yaml'),
    `signing:\n  by: gnupg\n  gnupg: { home: ${key.home}, key: site@rack.example }\n`,
  );
  await site.rackboot('image', 'build', 'xcp', '--layers', `${layer}:${join(site.dir, 'rack7')}:xcp-ng-8.3`);
  await site.rackboot('nodeset', 'n1', 'osimage=xcp');
  const { said, events } = await install(site, node, { kind: 'network' });
  t.regex(said, /^repomd\.xml: good signature$/m);
  t.regex(said, /^installed xapi-core-24\.20\.0-1\.noarch$/m);
  t.regex(said, /^installed site-agent-1\.0-1\.noarch$/m);
  const count = installedPackages.length + 1;
  t.true(said.includes(`installed ${count} packages, package signatures checked`), said);
  t.is(detailOf(events, 'populated'), `${count} packages`);
  t.true(events.some(({ stage }) => stage === 'installed'));
});
