import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { BootEntry } from '../../src/osimage/types.js';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { parseNode } from '../../src/node/nodes.js';
import { publish } from '../pxe/http/running-site.js';
import { newSite } from './in-process.js';

const shared = { title: 'x', kernel: 'vmlinuz', initrds: ['install.img'], args: '' };
const boot: readonly BootEntry[] = [
  { kind: 'xen', label: 'install', hypervisor: 'xen.gz', hypervisorArgs: '', ...shared },
  { kind: 'linux', label: 'rescue', ...shared },
  { kind: 'linux', label: 'memtest', firmware: 'uefi', ...shared },
];

/** A site with the osimage xcp, which boots Xen unless told otherwise, and the nodes n1 to n3. */
async function xenSite(t: Parameters<typeof newSite>[0]) {
  const site = await newSite(t);
  const store = await openStore(await openSite(site.dir));
  await publish(store, { name: 'xcp', boot });
  for (const n of [1, 2, 3]) await store.nodes.put(parseNode({ name: `n${n}`, macs: [`52540000000${n}`] }));
  await store.close();
  return site;
}

const mistyped: readonly [words: readonly string[], message: RegExp][] = [
  [
    ['node', 'set', 'n1', '--attr', 'loader=pxelinx'],
    /node n1: its loader 'pxelinx' is none; did you mean 'pxelinux'\?/,
  ],
  [['node', 'set', 'n[1-2]', '--attr', 'loader=undionly.kpx'], /did you mean 'undionly\.kpxe'\?/],
  [['node', 'add', 'n9', '--mac', '525400000099', '--attr', 'loader=GRUB2'], /did you mean 'grub'\?/],
  [['node', 'set', 'n1', '--attr', 'loader=script'], /for clients that are iPXE already/],
  [
    ['node', 'set', 'n1', '--attr', 'loader=ours-for-arm.efi'],
    /name the file in dhcp\.loaders of rackboot\.yaml first/,
  ],
];
for (const [words, message] of mistyped) {
  test(`a mistyped loader is refused where it is set: ${words.join(' ')}`, async (t) => {
    const { rackboot } = await xenSite(t);
    const { status, err } = await rackboot(...words);
    t.is(status, 2);
    t.regex(err, message);
    t.regex(err, /^[^\n]+\n$/);
    t.notRegex((await rackboot('node', 'show', 'all')).out, /attribute loader/);
  });
}

test('loaders that are handed out are taken, and so is a file that rackboot.yaml names', async (t) => {
  const { dir, rackboot } = await xenSite(t);
  for (const loader of ['ipxe', 'pxelinux', 'grub', 'shim', 'lpxelinux.0', 'snponly.efi', ''])
    t.is((await rackboot('node', 'set', 'n1', '--attr', `loader=${loader}`)).err, '', loader);
  const yaml = `dhcp: { loaders: { uefi-arm64: ours-for-arm.efi } }\n`;
  await writeFile(join(dir, 'rackboot.yaml'), yaml);
  t.is((await rackboot('node', 'set', 'n1', '--attr', 'loader=ours-for-arm.efi')).err, '');
});

test('a mistyped loader in an import is refused, and nothing is imported', async (t) => {
  const { dir, rackboot } = await xenSite(t);
  const file = join(dir, '..', 'nodes.csv');
  await writeFile(file, 'node,mac,loader\nn7,525400000077,shimm\n');
  const { status, err } = await rackboot('node', 'import', file);
  t.is(status, 2);
  t.regex(err, /node n7: its loader 'shimm' is none; did you mean 'shim'\?/);
  t.is((await rackboot('node', 'show', 'n7')).status, 1);
});

test('Xen by the signed chain is refused by nodeset, for its nodes alone, also further down a chain', async (t) => {
  const { rackboot } = await xenSite(t);
  await rackboot('node', 'set', 'n1', '--attr', 'loader=shim');
  const refused = await rackboot('nodeset', 'n[1-3]', 'osimage=xcp');
  t.is(refused.status, 1);
  t.regex(
    refused.err,
    /n1: its loader shim cannot boot Xen: .*multiboot2; turn Secure Boot off there and set loader=grub/,
  );
  t.regex(refused.err, /1 of 3 nodes cannot be set to that: n1/);
  t.regex((await rackboot('nodeset', 'n1', 'stat')).out, /^n1: boot\n$/);
  t.is((await rackboot('nodeset', 'n1', 'osimage=xcp:rescue')).status, 0);
  t.is((await rackboot('nodeset', 'n1', 'osimage=d12,osimage=xcp')).status, 1);
  t.is((await rackboot('nodeset', 'n[2-3]', 'osimage=xcp')).status, 0);
});

test('an entry for the other firmware is refused', async (t) => {
  const { rackboot } = await xenSite(t);
  await rackboot('node', 'set', 'n1', '--attr', 'loader=pxelinux');
  const { status, err } = await rackboot('nodeset', 'n1', 'osimage=xcp:memtest');
  t.is(status, 1);
  t.regex(err, /its loader pxelinux is for bios, and the entry memtest starts on UEFI only/);
});

test('choosing shim for a node that is set to Xen is refused, with the reason', async (t) => {
  const { rackboot } = await xenSite(t);
  await rackboot('nodeset', 'n[1-2]', 'osimage=xcp');
  const { status, err } = await rackboot('node', 'set', 'n[1-2]', '--attr', 'loader=shim');
  t.is(status, 2);
  t.regex(err, /node n1: its loader shim cannot boot Xen/);
  t.is((await rackboot('node', 'set', 'n1', '--attr', 'console=ttyS0')).status, 0);
});

test('where dhcp.loaders gives shim, nodeset to Xen warns', async (t) => {
  const { dir, rackboot } = await xenSite(t);
  await writeFile(join(dir, 'rackboot.yaml'), 'dhcp: { loaders: { uefi-x64: shim } }\n');
  const { status, err } = await rackboot('nodeset', 'n[1-2]', 'osimage=xcp');
  t.is(status, 0);
  t.regex(err, /warning: n\[1-2\]: dhcp\.loaders gives uefi-x64 shim, which cannot boot Xen/);
  t.notRegex((await rackboot('nodeset', 'n[1-2]', 'osimage=xcp:rescue')).err, /warning/);
});

test('doctor tells of loaders that came in before, and of what they cannot boot', async (t) => {
  const { dir, json } = await xenSite(t);
  const store = await openStore(await openSite(dir));
  await store.nodes.put(parseNode({ name: 'n1', macs: ['525400000001'], attributes: { loader: 'pxelinx' } }));
  await store.nodes.put(parseNode({ name: 'n2', macs: ['525400000002'], attributes: { loader: 'shim' } }));
  const target = { state: 'osimage', osimage: 'xcp', generation: null, entry: null, since: 1 } as const;
  await store.nodes.assign([{ node: 'n2', ...target }]);
  await store.close();
  const checks = (await json('doctor')) as {
    what: string;
    state: string;
    detail: string;
    mend: string | null;
  }[];
  const told = checks
    .filter(({ what }) => what === 'loader')
    .map(({ detail, mend }) => `${detail}; ${mend ?? ''}`);
  t.is(told.length, 2);
  t.regex(told[0] ?? '', /^n1: its loader 'pxelinx' is none; did you mean 'pxelinux'\?/);
  t.regex(told[1] ?? '', /^n2: its loader shim cannot boot Xen: /);
});
