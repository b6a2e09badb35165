import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Lab } from '../../src/demo/lab.js';
import { startMachine } from '../../src/demo/machine.js';
import { LabSite } from '../e2e/lab-site.js';
import { EDITED, importEdited, PATIENCE, waitForEvidence } from './boot-once.js';

/** A node in a network of its own, which a relay and router is between us and. */
const node = { name: 'n1', mac: '52:54:00:77:03:01', ip: '10.88.0.31', firmware: 'bios' } as const;
const RELAY = '10.88.0.1';

const stops: (() => Promise<unknown>)[] = [];

test.after.always(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

test('a machine behind a relay gets its reservation and boots', async (t) => {
  t.timeout(PATIENCE + 180_000);
  const far = await Lab.open();
  stops.push(() => far.close());
  const anchor = far.spawn(['sleep', '1800'], { stdio: 'ignore' });
  await once(anchor, 'spawn');
  const site = await LabSite.open([node], async (opened) => {
    await importEdited(opened, 'single');
    await connect(opened.lab, far, anchor.pid ?? 0);
    const config = join(opened.dir, 'site/rackboot.yaml');
    const relayed = `    - { network: 10.88.0.0/24, server: 10.77.0.1, routers: [${RELAY}], relays: [${RELAY}] }\n`;
    await appendFile(config, relayed);
  });
  stops.push(() => site.close());
  await site.rackboot('nodeset', node.name, 'osimage=single:linux');
  const relay = far.spawn(
    ['dhcrelay', '-4', '-d', '--no-pid', '-id', far.interface, '-iu', 'uplink', '10.77.0.1'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  relay.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  stops.push(async () => {
    if (relay.exitCode !== null || relay.signalCode !== null) return;
    relay.kill('SIGTERM');
    await once(relay, 'exit');
  });
  const machine = await startMachine(
    far,
    { ...node, boot: { kind: 'network' }, accelerator: site.accelerator, memoryMb: 768 },
    { lifetimeMs: PATIENCE },
  );
  stops.push(() => machine.close());
  const { evidence } = await waitForEvidence(machine).catch((error: unknown) => {
    throw new Error(`${String(error)}\nthe relay said: ${said.slice(-2000)}`, { cause: error });
  });
  t.is(evidence.marker, EDITED);
  const events = (await site.store.events.since(0, 500)).filter((event) => event.node === node.name);
  t.regex(events.find(({ stage }) => stage === 'dhcp')?.detail ?? '', /^10\.88\.0\.31 for iPXE/);
  t.is(events.find(({ stage }) => stage === 'kernel')?.client, node.ip);
});

/** A wire between the labs, with `far` as the router of a network of its own. `pid` runs in `far`. */
async function connect(near: Lab, far: Lab, pid: number): Promise<void> {
  const must = async (lab: Lab, ...argv: string[]): Promise<void> => {
    const { code, stderr } = await lab.run(argv);
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
  };
  await must(near, ...'ip link add name downlink type veth peer name uplink netns'.split(' '), String(pid));
  await must(near, ...'ip address add 10.99.0.1/30 dev downlink'.split(' '));
  await must(near, ...'ip link set dev downlink up'.split(' '));
  await must(near, ...'ethtool -K downlink tx off'.split(' '));
  await must(far, ...`ip address flush dev ${far.interface}`.split(' '));
  await must(far, ...`ip address add ${RELAY}/24 dev ${far.interface}`.split(' '));
  await must(far, ...'ip address add 10.99.0.2/30 dev uplink'.split(' '));
  await must(far, ...'ip link set dev uplink up'.split(' '));
  await must(far, ...'ethtool -K uplink tx off'.split(' '));
  await must(far, ...'ip route add 10.77.0.0/24 via 10.99.0.1'.split(' '));
  await must(near, ...'ip route add 10.88.0.0/24 via 10.99.0.2'.split(' '));
  await must(far, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
}
