import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import type { BootEntry } from '../../../src/osimage/types.js';
import { ask, digestOf, runSite } from './running-site.js';

const n1 = { name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' };

const xenEntry: BootEntry = {
  kind: 'xen',
  label: 'install',
  title: 'Xen',
  hypervisor: 'boot/xen.gz',
  hypervisorArgs: 'console=com1',
  kernel: 'boot/vmlinuz',
  args: 'console=hvc0',
  initrds: ['install.img'],
};

test('our GRUB is told what the node does, by its MAC address or by the address that it asks from', async (t) => {
  const site = await runSite(t);
  await site.addNode(n1);
  await site.publish({ name: 'd12' });
  await site.assign('n1', {});
  const told = /^for pause in [^]*\n {2}if linux '\(http,127\.0\.0\.1:\d+\)\/images\/d12@/m;
  t.regex((await ask(site, '/grub.cfg?mac=52:54:00:00:00:01')).text, told);
  t.regex((await ask(site, '/grub.cfg?mac=', { from: '127.0.0.11' })).text, told);
  for (const [path, from] of [
    ['/grub.cfg?mac=52:54:00:00:00:99', '127.0.0.11'],
    ['/grub.cfg?mac=', '127.0.0.12'],
    ['/grub.cfg', '127.0.0.12'],
  ] as const) {
    const { status, text } = await ask(site, path, { from });
    t.is(status, 200);
    t.regex(text, /no node has .*; add it with: rackboot node add\nexit\n$/);
  }
});

test('our GRUB is made once, with this server’s URL in it', async (t) => {
  const site = await runSite(t);
  const [first, second] = await Promise.all([
    ask(site, '/loaders/core-x64.efi'),
    ask(site, '/loaders/core-x64.efi'),
  ]);
  t.is(first.status, 200);
  t.is(first.body.subarray(0, 2).toString(), 'MZ');
  t.true(first.body.includes(`(http,127.0.0.1:${site.port})/grub.cfg`));
  t.is(digestOf(first.body), digestOf(second.body));
  t.is(first.headers.etag, `"${digestOf(first.body)}"`);
});

test('a hypervisor is served unpacked, and nothing else is', async (t) => {
  const site = await runSite(t);
  const hypervisor = randomBytes(200_000);
  const id = await site.publish({
    name: 'xen',
    files: {
      'boot/xen.gz': gzipSync(hypervisor),
      'boot/vmlinuz': randomBytes(2000),
      'install.img': gzipSync(randomBytes(2000)),
    },
    boot: [xenEntry],
  });
  await site.addNode(n1);
  const plain = await ask(site, `/images/xen@${id}/hypervisor/boot/xen.gz`, { from: '127.0.0.11' });
  t.is(plain.status, 200);
  t.is(digestOf(plain.body), digestOf(hypervisor));
  t.regex(plain.headers['cache-control'] ?? '', /immutable/);
  const part = await ask(site, `/images/xen@${id.slice(0, 16)}/hypervisor/boot/xen.gz`, {
    headers: { Range: 'bytes=100-199' },
  });
  t.is(part.status, 206);
  t.deepEqual(part.body, hypervisor.subarray(100, 200));
  t.is((await site.store.events.latest('n1', 'kernel'))?.bytes, hypervisor.length);
  for (const path of ['boot/vmlinuz', 'install.img', 'boot/nope', '../files/boot/vmlinuz'])
    t.is((await ask(site, `/images/xen@${id}/hypervisor/${path}`)).status, 404, path);
  t.is((await ask(site, '/images/xen/hypervisor/boot/xen.gz')).status, 404);
});

test('a hypervisor that is no whole gzip is a failure, and asked for again', async (t) => {
  const site = await runSite(t);
  const files = { 'boot/xen.gz': gzipSync(randomBytes(9000)).subarray(0, 5000) };
  const id = await site.publish({ name: 'xen', files, boot: [xenEntry] });
  for (let times = 0; times < 2; times++)
    t.is((await ask(site, `/images/xen@${id}/hypervisor/boot/xen.gz`)).status, 500);
});
