import test from 'ava';
import { readRun } from '../../../src/node/run-token.js';
import { readStatuses } from '../../../src/node/status.js';
import { loadRunKey } from '../../../src/node/run-token.js';
import { ask, installEntry, runSite, type RunningSite } from './running-site.js';

const n1 = {
  name: 'n1',
  macs: ['52:54:00:00:00:01'],
  ip: '127.0.0.11',
  uuid: '4c4c4544-0042-3510-8054-b4c04f4d3132',
  serial: 'SN 1',
};
const own = { from: '127.0.0.11' };

async function siteWithNode(
  t: Parameters<typeof runSite>[0],
): Promise<RunningSite & { readonly id: string }> {
  const site = await runSite(t);
  await site.addNode(n1);
  const id = await site.publish({ name: 'd12', answer: 'host {{ node.name }}\n' });
  return { ...site, id };
}

test('the entry finds the node by MAC, UUID or serial number', async (t) => {
  const site = await siteWithNode(t);
  await site.addNode({ name: 'n2', macs: ['52:54:00:00:00:02'], ip: '127.0.0.12' });
  const entry = await ask(site, '/boot.ipxe');
  t.regex(entry.text, new RegExp(`^#!ipxe\n[^]*chain .* ${site.url}/boot\\.ipxe\\?mac=\\$\\{netX/mac\\}`));
  for (const [query, node] of [
    ['mac=52:54:00:00:00:01', 'n1'],
    ['mac=52-54-00-00-00-01', 'n1'],
    ['mac=&mac=52:54:00:00:00:01&uuid=&serial=', 'n1'],
    ['mac=52:54:00:00:00:99&uuid=4C4C4544-0042-3510-8054-B4C04F4D3132', 'n1'],
    ['mac=52:54:00:00:00:99&serial=SN%201', 'n1'],
    ['mac=52:54:00:00:00:02&uuid=4C4C4544-0042-3510-8054-B4C04F4D3132', 'n2'], // a MAC is surer than a UUID
  ] as const) {
    t.regex((await ask(site, `/boot.ipxe?${query}`)).text, new RegExp(`^# rackboot: ${node}: `, 'm'), query);
  }
});

test('a machine nobody knows boots from its disk and says what to do', async (t) => {
  const site = await siteWithNode(t);
  for (const query of [
    'mac=52:54:00:00:00:99',
    'uuid=00000000-0000-0000-0000-000000000000',
    'mac=$%7Bx%7D%0Aboot',
    'serial=x;y',
  ]) {
    const { status, text } = await ask(site, `/boot.ipxe?${query}`);
    t.is(status, 200);
    t.regex(text, /no node has .*; add it with: rackboot node add\n[^]*\nexit\n$/);
    t.notRegex(text, /kernel|^boot/m);
  }
  t.is(await site.store.events.lastId(), 0);
});

test('a node that was set to nothing, to boot, or offline boots from its disk', async (t) => {
  const site = await siteWithNode(t);
  const script = async (): Promise<string> => (await ask(site, '/nodes/n1/boot.ipxe', own)).text;
  t.regex(await script(), /boots from local disk: it was never set to anything else/);
  await site.assign('n1', { state: 'boot' });
  t.regex(await script(), /boots from local disk: it is set to boot/);
  await site.assign('n1', { state: 'offline' });
  t.regex(await script(), /boots from local disk: it is set offline/);
});

test('every URL of a script names the generation, and a swap changes the next boot only', async (t) => {
  const site = await siteWithNode(t);
  await site.assign('n1', {});
  const script = (await ask(site, '/nodes/n1/boot.ipxe', own)).text;
  const urls = script.match(/http:\S+\/images\/\S+/g) ?? [];
  t.is(urls.length, 2);
  for (const url of urls) t.true(url.startsWith(`${site.url}/images/d12@${site.id}/files/`));
  const next = await site.publish({
    name: 'd12',
    files: { linux: Buffer.from('k'), 'initrd.gz': Buffer.from('i') },
  });
  t.true((await ask(site, '/nodes/n1/boot.ipxe', own)).text.includes(`/images/d12@${next}/files/linux`));
  await site.assign('n1', { generation: site.id });
  t.true((await ask(site, '/nodes/n1/boot.ipxe', own)).text.includes(`/images/d12@${site.id}/files/linux`));
  // The script took a lease: gc leaves both alone, long after.
  await site.assign('n1', { state: 'boot' });
  site.clock.now += 3600_000;
  t.is((await site.store.gc({ dryRun: false, keep: 1 })).generations, 0);
});

test('tokens are given to the address of the node only', async (t) => {
  const site = await siteWithNode(t);
  const assigned = await site.assign('n1', {});
  const ownScript = (await ask(site, '/nodes/n1/boot.ipxe', own)).text;
  const [, token = ''] = /answerfile\?token=(\S+)/.exec(ownScript) ?? [];
  t.regex(token, /^[A-Za-z0-9_-]{32}\.[0-9a-z]+\.[0-9a-f]{16}\.[A-Za-z0-9_-]{22}$/);
  const [, run = ''] = /report\?run=(\S+)/.exec(ownScript) ?? [];
  const key = await loadRunKey(site.dir);
  t.deepEqual(readRun(key, 'n1', run), {
    node: 'n1',
    since: assigned.since,
    generation: site.id.slice(0, 16),
  });

  for (const path of ['boot.ipxe', 'grub.cfg', 'pxelinux.cfg', 'grub.cfg?files=tftp']) {
    const script = (await ask(site, `/nodes/n1/${path}`, { from: '127.0.0.66' })).text;
    t.regex(
      script,
      /^# rackboot: no answer file token: asked for from 127\.0\.0\.66, which is not the address of n1/m,
    );
    t.notRegex(script, /token=|run=/);
  }
  await site.addNode({ name: 'n2', macs: ['52:54:00:00:00:02'] });
  await site.assign('n2', {});
  t.regex(
    (await ask(site, '/nodes/n2/boot.ipxe')).text,
    /no address is reserved for n2; reserve one with: rackboot node set n2 --ip/,
  );
});

test('asking from elsewhere, or for the header only, leaves the node its token', async (t) => {
  const site = await siteWithNode(t);
  await site.assign('n1', {});
  const [, token = ''] =
    /answerfile\?token=(\S+)/.exec((await ask(site, '/nodes/n1/boot.ipxe', own)).text) ?? [];
  await ask(site, '/nodes/n1/boot.ipxe', { from: '127.0.0.66' });
  t.is((await ask(site, '/nodes/n1/boot.ipxe', { ...own, method: 'HEAD' })).status, 200);
  t.is((await ask(site, `/nodes/n1/answerfile?token=${token}`, own)).status, 200);
  t.deepEqual(await site.stages('n1'), ['script', 'answer']);
});

test('settings of the build, attributes of the node and another entry reach the kernel line', async (t) => {
  const site = await runSite(t);
  await site.addNode({ ...n1, attributes: { console: 'ttyS1,115200' } });
  const args =
    'console={{ node.attributes.console }} suite={{ settings.suite }} on={{ server.address }} {{ entry }}';
  await site.publish({
    name: 'd12',
    boot: [installEntry, { ...installEntry, label: 'rescue', args }],
    settings: { suite: 'bookworm' },
  });
  await site.assign('n1', { entry: 'rescue' });
  const { text } = await ask(site, '/nodes/n1/boot.ipxe', own);
  t.regex(text, /initrd=initrd0 console=ttyS1,115200 suite=bookworm on=127\.0\.0\.1 rescue \|\| goto failed/);
});

for (const [why, change, boot, message] of [
  ['its entry is gone', { entry: 'nope' }, [installEntry], /osimage d12 has no boot entry nope/],
  [
    'its arguments name what it lacks',
    {},
    [{ ...installEntry, args: '{{ node.attributes.nope }}' }],
    /undefined variable/,
  ],
  ['iPXE cannot say its arguments', {}, [{ ...installEntry, args: 'a "' }], /open double quote/],
] as const) {
  test(`a node boots from its disk and says so when ${why}`, async (t) => {
    const site = await runSite(t);
    await site.addNode(n1);
    await site.publish({ name: 'd12', boot });
    await site.assign('n1', change);
    const { status, text } = await ask(site, '/nodes/n1/boot.ipxe', own);
    t.is(status, 200);
    t.regex(text, message);
    t.regex(text, /\nexit\n$/);
    const [event] = await site.store.events.ofNode('n1', 1);
    t.regex(event?.detail ?? '', message);
  });
}

test('a node that does not exist has no script', async (t) => {
  const site = await siteWithNode(t);
  for (const name of ['nope', 'n1%00', 'N1', '..', '%2e%2e', 'n1%2f..']) {
    t.is((await ask(site, `/nodes/${name}/boot.ipxe`)).status, 404, name);
  }
});

for (const [argument, loader, culprit] of [
  ['console=x || shell', 'boot.ipxe', '||'],
  ['a && b', 'boot.ipxe', '&&'],
  ['${net0/ip}', 'boot.ipxe', '${'],
  ["a='b'", 'grub.cfg', "'"],
] as const) {
  test(`what ${loader} cannot pass on (${culprit}) is a boot from the disk with the reason`, async (t) => {
    const site = await runSite(t);
    await site.addNode({ ...n1, attributes: { console: argument } });
    await site.publish({
      name: 'd12',
      answer: 'x',
      boot: [{ ...installEntry, args: '{{ node.attributes.console }} url={{ answerfile }}' }],
    });
    await site.assign('n1', {});
    const usable = (await ask(site, '/nodes/n1/pxelinux.cfg', own)).text;
    const token = /answerfile\?token=\S+/.exec(usable)?.[0] ?? '';
    const { status, text } = await ask(site, `/nodes/n1/${loader}`, own);
    t.is(status, 200);
    t.regex(text, /boots from local disk: boot argument /);
    t.notRegex(text, /linux|initrd/);
    const [event] = await site.store.events.ofNode('n1', 1);
    t.is(event?.stage, 'local');
    t.true(event?.detail.includes(`cannot pass '${culprit}'`), event?.detail);
    const [status1] = await readStatuses(site.store, await site.store.nodes.getMany(['n1']));
    t.is(status1?.detail, event?.detail);
    t.true(site.log.some((line) => line.includes('no boot script') && line.includes('cannot pass')));
    t.is((await ask(site, `/nodes/n1/${token}`, own)).status, 200, 'the token before still works');
  });
}

test('a kernel line that the token makes too long uses up no token', async (t) => {
  const site = await siteWithNode(t);
  const args = (length: number): string => `${'x'.repeat(length)} url={{ answerfile }}`;
  await site.publish({ name: 'd12', answer: 'x', boot: [{ ...installEntry, args: args(10) }] });
  await site.assign('n1', {});
  const usable = (await ask(site, '/nodes/n1/boot.ipxe', own)).text;
  const token = /answerfile\?token=\S+/.exec(usable)?.[0] ?? '';
  const long = { name: 'd12', answer: 'x', boot: [{ ...installEntry, args: args(1960) }] };
  await site.publish(long);
  t.regex((await ask(site, '/nodes/n1/boot.ipxe', own)).text, /boots from local disk: boot arguments are/);
  t.is((await ask(site, `/nodes/n1/${token}`, own)).status, 200);
});
