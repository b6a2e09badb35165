import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test from 'ava';
import { chooseAcceleration, type Accelerator } from '../../src/demo/kvm.js';
import { Lab } from '../../src/demo/lab.js';
import { serveInLab } from '../../src/demo/lab-server.js';
import { startMachine } from '../../src/demo/machine.js';
import { packageRoot } from '../../src/site/assets.js';
import { initSite } from '../../src/site/init.js';
import { configFile, openSite } from '../../src/site/site.js';
import type { Store } from '../../src/store/records.js';
import { openStore } from '../../src/store/store.js';
import { evidenceOf, writeMedia } from './machine-image.js';

/** A boot under software emulation on busy processors, in milliseconds. */
const PATIENCE = 6 * 60_000;

const OURS = '10.77.0.2';
const node = { name: 'n1', mac: '52:54:00:77:02:01', ip: '10.77.0.131' };

let accelerator: Accelerator;
let lab: Lab;
let store: Store;
let site: string;
const stops: (() => Promise<unknown>)[] = [];

test.before(async (t) => {
  t.timeout(180_000);
  ({ accelerator } = await chooseAcceleration());
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-xcat-'));
  stops.push(() => rm(dir, { recursive: true, force: true }));
  lab = await Lab.open();
  stops.push(() => lab.close());
  await lab.run(['ip', 'address', 'add', `${OURS}/24`, 'dev', lab.interface]);
  await startDnsmasq(join(dir, 'leases'));

  site = join(dir, 'site');
  await initSite(site);
  await writeFile(join(site, configFile), `http: { listen: '${OURS}:80' }\nxcat: { paths: on }\n`);
  const media = join(dir, 'media');
  await writeMedia(media, 'single');
  await rackboot(
    ...['image', 'import', media, '--name', 'genesis', '--family', 'generic'],
    ...['--kernel', 'boot/vmlinuz', '--initrd', 'install.img'],
  );
  await rackboot('image', 'build', 'genesis', '--layers', 'xcat-genesis');
  await writeFile(
    join(dir, 'nodes.stanza'),
    `${node.name}:
    objtype=node
    ip=${node.ip}
    mac=${node.mac}
    netboot=xnba
    serialport=0
    serialspeed=115200
`,
  );
  await rackboot('node', 'import', join(dir, 'nodes.stanza'));
  store = await openStore(await openSite(site));
  stops.push(() => store.close());
  const server = await serveInLab(lab, site);
  stops.push(() => server.close());
});

test.after.always(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

test.serial('a node whose DHCP server names xCAT’s script boots genesis for its errand', async (t) => {
  t.timeout(PATIENCE + 60_000);
  await rackboot('nodeset', node.name, 'runcmd=bmcsetup,boot');
  const machine = await startMachine(
    lab,
    { ...node, firmware: 'bios', accelerator, boot: { kind: 'network' }, memoryMb: 768 },
    { lifetimeMs: PATIENCE },
  );
  try {
    await machine.waitFor(/EVIDENCE-END/, { withinMs: PATIENCE });
    const evidence = evidenceOf(machine.serial.text);
    t.is(
      evidence?.line,
      `quiet console=tty0 console=ttyS0,115200 xcatd=${OURS}:3001 destiny=runcmd=bmcsetup BOOTIF=01-${node.mac.replaceAll(':', '-')}`,
    );
  } finally {
    await machine.close();
  }
  const stages = (await store.events.ofNode(node.name, 50)).map(({ stage }) => stage).reverse();
  t.deepEqual([...new Set(stages)], ['nodeset', 'script', 'kernel', 'initrd']);
});

test.serial('the same node set to boot goes on to its disk', async (t) => {
  t.timeout(PATIENCE + 60_000);
  await rackboot('nodeset', node.name, 'boot');
  const machine = await startMachine(
    lab,
    { ...node, firmware: 'bios', accelerator, boot: { kind: 'network' }, memoryMb: 256 },
    { lifetimeMs: PATIENCE },
  );
  try {
    await machine.waitFor(/No more network devices|No bootable device|Boot failed/i, { withinMs: PATIENCE });
  } finally {
    await machine.close();
  }
  t.is((await store.events.ofNode(node.name, 1))[0]?.stage, 'local');
});

/** A DHCP server as xCAT leaves it: it knows the node, and the script to name. */
async function startDnsmasq(leases: string): Promise<void> {
  const dnsmasq = lab.spawn([
    ...['dnsmasq', '--keep-in-foreground', '--log-facility=-', '--conf-file=/dev/null', '--user=root'],
    ...['--port=0', '--bind-dynamic', `--interface=${lab.interface}`, '--dhcp-authoritative'],
    ...['--dhcp-range=10.77.0.100,10.77.0.150,1h', `--dhcp-leasefile=${leases}`],
    ...[`--dhcp-host=${node.mac},${node.ip}`],
    `--dhcp-boot=http://${OURS}/tftpboot/xcat/xnba/nodes/${node.name},,${OURS}`,
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

async function rackboot(...args: string[]): Promise<void> {
  const program = join(packageRoot(), 'bin', 'rackboot');
  await promisify(execFile)(program, ['--site', site, ...args], { timeout: 120_000 });
}
