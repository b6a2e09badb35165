import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test from 'ava';
import { watchBoot } from '../../src/demo/boot-watch.js';
import { type Accelerator, chooseAcceleration } from '../../src/demo/kvm.js';
import { Lab } from '../../src/demo/lab.js';
import { type LabServer, serveInLab } from '../../src/demo/lab-server.js';
import { startMachine } from '../../src/demo/machine.js';
import type { Firmware } from '../../src/demo/qemu.js';
import { packageRoot } from '../../src/site/assets.js';
import { initSite } from '../../src/site/init.js';
import { configFile, openSite } from '../../src/site/site.js';
import type { EventRecord, Store } from '../../src/store/records.js';
import { openStore } from '../../src/store/store.js';

/** A boot under software emulation on busy processors, in milliseconds. */
const PATIENCE = 4 * 60_000;

/** The proxy's own address, beside dnsmasq's on the same bridge. */
const OURS = '10.77.0.2';

const machines: readonly { name: string; mac: string; ip: string; firmware: Firmware; stages: string[] }[] = [
  { name: 'n1', mac: '52:54:00:77:01:01', ip: '10.77.0.121', firmware: 'bios', stages: ['dhcp'] },
  {
    name: 'n2',
    mac: '52:54:00:77:01:02',
    ip: '10.77.0.122',
    firmware: 'uefi',
    stages: ['dhcp', 'loader'],
  },
];

let accelerator: Accelerator;
let lab: Lab;
let store: Store;
let server: LabServer;
const stops: (() => Promise<unknown>)[] = [];

test.before(async (t) => {
  t.timeout(120_000);
  ({ accelerator } = await chooseAcceleration());
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-proxy-'));
  stops.push(() => rm(dir, { recursive: true, force: true }));
  lab = await Lab.open();
  stops.push(() => lab.close());
  await lab.run(['ip', 'address', 'add', `${OURS}/24`, 'dev', lab.interface]);
  await startDnsmasq(join(dir, 'leases'));

  const site = join(dir, 'site');
  await initSite(site);
  await writeFile(
    join(site, configFile),
    `http: { listen: '${OURS}:8080' }
tftp: { listen: '${OURS}:69' }
dhcp:
  interfaces: { ${lab.interface}: proxy }
  subnets: [{ network: ${lab.network}, server: ${OURS} }]
`,
  );
  store = await openStore(await openSite(site));
  stops.push(() => store.close());
  for (const { name, mac, ip } of machines) {
    await rackboot(site, 'node', 'add', name, '--mac', mac, '--ip', ip);
    await rackboot(site, 'nodeset', name, 'boot');
  }
  server = await serveInLab(lab, site);
  stops.push(() => server.close());
});

test.after.always(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

for (const { name, mac, ip, firmware, stages } of machines) {
  test.serial(
    `a ${firmware} machine gets its address from dnsmasq and its boot from the proxy`,
    async (t) => {
      const events: EventRecord[] = [];
      const after = await store.events.lastId();
      const machine = await startMachine(
        lab,
        { name, mac, firmware, accelerator, boot: { kind: 'network' }, memoryMb: 512 },
        { lifetimeMs: PATIENCE },
      );
      try {
        let ended: string | undefined;
        void machine.ended.then((end) => (ended = `${end.message}: ${machine.serial.text.slice(-2000)}`));
        await watchBoot(store, name, {
          after,
          wanted: [...stages, 'local'],
          withinMs: PATIENCE,
          signal: new AbortController().signal,
          gone: () => ended,
          onEvent: (event) => events.push(event),
        });
      } finally {
        await machine.close();
      }
      const first = events.find(({ stage }) => stage === 'dhcp');
      t.regex(first?.detail ?? '', /^proxy for .*boot file /);
      t.is(events.find(({ stage }) => stage === 'local')?.client, ip);
    },
  );
}

/** A DHCP server that knows the machines' addresses, and nothing about booting. */
async function startDnsmasq(leases: string): Promise<void> {
  const dnsmasq = lab.spawn([
    ...['dnsmasq', '--keep-in-foreground', '--log-facility=-', '--conf-file=/dev/null', '--user=root'],
    ...['--port=0', '--bind-dynamic', `--interface=${lab.interface}`, '--dhcp-authoritative'],
    ...['--dhcp-range=10.77.0.100,10.77.0.150,1h', `--dhcp-leasefile=${leases}`],
    ...machines.map(({ mac, ip }) => `--dhcp-host=${mac},${ip}`),
  ]);
  let said = '';
  dnsmasq.stderr?.on('data', (text: Buffer) => (said += text.toString()));
  stops.push(async () => {
    if (dnsmasq.exitCode !== null || dnsmasq.signalCode !== null) return;
    dnsmasq.kill('SIGKILL');
    await once(dnsmasq, 'exit');
  });
  for (let tries = 0; !said.includes('DHCP, IP range'); tries += 1) {
    if (tries > 200) throw new Error(`dnsmasq (package dnsmasq-base) did not start: ${said}`);
    await sleep(50);
  }
}

async function rackboot(site: string, ...args: string[]): Promise<void> {
  const program = join(packageRoot(), 'bin', 'rackboot');
  await promisify(execFile)(program, ['--site', site, ...args], { timeout: 60_000 });
}
