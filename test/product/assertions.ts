import type { ExecutionContext } from 'ava';
import type { LabNode, LabSite } from '../e2e/lab-site.js';
import { detailOf, orderOf } from '../e2e/lab-site.js';
import { RACK_ARGUMENT, type Installation } from './installation.js';
import { installedPackages } from './packages.js';

/** Xen ran the edited installer, which checked every signature, installed every package that it should, and reported. */
export async function assertInstalled(
  t: ExecutionContext,
  site: LabSite,
  node: LabNode,
  { said, events }: Installation,
): Promise<void> {
  const firmware = node.firmware === 'bios' ? 'BIOS' : 'UEFI';
  t.regex(said, new RegExp(`^kernel \\S+, hypervisor xen, booted by ${firmware}$`, 'm'));
  t.regex(said, new RegExp(`^kernel line: .*${RACK_ARGUMENT}`, 'm'));
  t.regex(said, /^drivers: .*virtio_net/m);
  t.regex(said, /^repomd\.xml: good signature$/m);
  const installed = [...said.matchAll(/^installed (\S+)-[^-]+-1\.noarch$/gm)].map(([, name]) => name);
  t.deepEqual(installed.sort(), [...installedPackages]);
  t.true(said.includes(`installed ${installedPackages.length} packages, package signatures checked`));
  const stages = ['answer', 'installing', 'populated', 'installed'];
  t.deepEqual(orderOf(events, stages), stages);
  t.is(detailOf(events, 'populated'), `${installedPackages.length} packages`);
  t.is((await site.rackboot('nodeset', node.name, 'stat')).trim(), `${node.name}: boot`);
}

/** The installation stopped with `reason`, on the console and in the node's history, and the node stays set to install. */
export async function assertStopped(
  t: ExecutionContext,
  site: LabSite,
  node: LabNode,
  { said, events }: Installation,
  reason: string,
): Promise<void> {
  t.true(said.includes(`INSTALL FAILED: ${reason}`), said);
  t.false(said.includes('installed '), said);
  t.is(detailOf(events, 'failed'), reason);
  t.is(detailOf(events, 'installed'), undefined);
  t.regex(await site.rackboot('nodeset', node.name, 'stat'), /: osimage /);
}
