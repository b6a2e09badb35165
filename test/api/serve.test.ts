import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { pino } from 'pino';
import { startServers } from '../../src/api/serve.js';
import { defaultConfig } from '../../src/site/config.js';
import { siteAt } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { ask, bootFiles, digestOf, runSite } from '../pxe/http/running-site.js';

const run = promisify(execFile);

test('it says what it listens on, and that DHCP is off', async (t) => {
  const site = await runSite(t);
  t.regex(
    site.servers.announcement.join('\n'),
    /^HTTP on 127\.0\.0\.1:\d+; nodes reach it at http:\S+, the page is at http:\S+\/\nTFTP is off \(tftp\.listen\)\nDHCP is off: nothing is answered on any interface/,
  );
  t.is(site.servers.tftpPort, null);
});

test('loaders, configurations and boot files come over TFTP, too', async (t) => {
  const site = await runSite(t, { tftp: { listen: '127.0.0.1:0', limits: {} } });
  await site.addNode({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    ip: '127.0.0.1',
    uuid: '4c4c4544-0042-3510-8054-b4c04f4d3132',
  });
  const id = await site.publish({
    name: 'd12',
    files: { ...bootFiles, 'amd64/linux': bootFiles.linux },
    answer: 'x',
  });
  await site.assign('n1', {});
  const fetch = async (path: string): Promise<Buffer> => {
    const args = ['-sf', '--tftp-blksize', '1400', `tftp://127.0.0.1:${site.servers.tftpPort ?? 0}/${path}`];
    return (await run('curl', args, { encoding: 'buffer', maxBuffer: 1 << 26, timeout: 30_000 })).stdout;
  };
  const { stdout } = await run('cat', ['/usr/lib/ipxe/undionly.kpxe'], { encoding: 'buffer' });
  t.is(digestOf(await fetch('undionly.kpxe')), digestOf(stdout));
  t.is(digestOf(await fetch(`images/d12@${id}/files/amd64/linux`)), digestOf(bootFiles.linux));
  for (const path of [
    'pxelinux.cfg/01-52-54-00-00-00-01',
    'pxelinux.cfg/4c4c4544-0042-3510-8054-b4c04f4d3132',
    'pxelinux.cfg/default',
    'nodes/n1/pxelinux.cfg',
  ]) {
    t.regex((await fetch(path)).toString(), new RegExp(`KERNEL /images/d12@${id}/files/linux`), path);
  }
  const asking = "\n  source '(tftp,127.0.0.1)/nodes/n1/grub.cfg'\n";
  for (const path of ['grub/grub.cfg-01-52-54-00-00-00-01', 'grub.cfg', 'grub/grub.cfg'])
    t.true((await fetch(path)).toString().includes(asking), path);
  t.regex(
    (await fetch('nodes/n1/grub.cfg')).toString(),
    new RegExp(`linux '\\(tftp,127\\.0\\.0\\.1\\)/images/d12@${id}/files/linux'`),
  );
  for (const [name, file] of [
    ['pxelinux.0', '/usr/lib/PXELINUX/pxelinux.0'],
    ['mboot.c32', '/usr/lib/syslinux/modules/bios/mboot.c32'],
    ['shimx64.efi', '/usr/lib/shim/shimx64.efi.signed'],
    ['grubx64.efi', '/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed'],
  ] as const) {
    t.is(digestOf(await fetch(name)), digestOf(await readFile(file)), name);
  }
  t.is((await fetch('core-x64.efi')).subarray(0, 2).toString(), 'MZ');
  for (const path of [
    'nope',
    'grub.cfg-01-52-54-00-00-00-99',
    'images/d12/files/linux',
    `images/d12@${id}/files/..//..//etc/passwd`,
    'run.key',
    'state.db',
    '../../etc/passwd',
  ]) {
    await t.throwsAsync(fetch(path), undefined, path);
  }
  t.true((await site.stages('n1')).includes('loader'));
  const metrics = (await ask(site, '/metrics')).text;
  t.regex(metrics, /^rackboot_tftp_transfers_total\{outcome="complete"\} \d+$/m);
  t.regex(metrics, /^rackboot_nodes\{state="osimage"\} 1$/m);
});

test('a port in use stops everything that was started, with one line', async (t) => {
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
  const address = blocker.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-serve-'));
  const defaults = defaultConfig();
  const site = siteAt(dir, { ...defaults, http: { listen: `127.0.0.1:${port}`, limits: {} } });
  const store = await openStore(site);
  t.teardown(async () => {
    await store.close();
    await rm(dir, { recursive: true });
    blocker.close();
  });
  const error = await t.throwsAsync(startServers({ site, store, log: pino({ level: 'silent' }) }), {
    name: 'PxeError',
  });
  t.regex(
    error.message,
    new RegExp(
      `^HTTP cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use; .*http\\.listen in rackboot\\.yaml$`,
    ),
  );

  const busyTftp = await runSite(t, { tftp: { listen: '127.0.0.1:0', limits: {} } });
  const tftp = siteAt(dir, {
    ...defaults,
    http: { listen: '127.0.0.1:0', limits: {} },
    tftp: { ...defaults.tftp, listen: `127.0.0.1:${busyTftp.servers.tftpPort ?? 0}` },
  });
  await t.throwsAsync(startServers({ site: tftp, store, log: pino({ level: 'silent' }) }), {
    name: 'PxeError',
    message: /another program has it/,
  });
});

test('counters count', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12' });
  await ask(site, `/images/d12@${id}/files/linux`);
  await ask(site, '/nope');
  const { text, headers } = await ask(site, '/metrics');
  t.is(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  t.regex(text, /^rackboot_http_requests_total\{status="404"\} 1$/m);
  t.regex(text, /^rackboot_sent_bytes_total 300000$/m);
  t.regex(text, /^rackboot_transfers_total\{outcome="finished"\} 1$/m);
  for (const line of text.trimEnd().split('\n'))
    t.regex(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"\})? \d+)$/);
});
