import { once } from 'node:events';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { REAL_CLIENTS, type RealClient } from './real-clients.js';
import { CLIENT_SIDE, type Namespace, SERVER_SIDE, type Segment } from './segment.js';
import { startServer, withSegment } from './serving.js';
import { Wire } from './wire.js';

/** A real client in a machine of its own, which is a node without a reservation. */
interface Machine {
  readonly client: RealClient;
  readonly mac: string;
  readonly space: Namespace;
  readonly dir: string;
}

const POOL = '10.77.0.20-10.77.0.29';

async function machinesOn(segment: Segment, dir: string): Promise<readonly Machine[]> {
  const machines: Machine[] = [];
  for (const [index, client] of REAL_CLIENTS.entries()) {
    const mac = `52:54:00:00:00:1${index}`;
    const own = join(dir, client.name);
    await mkdir(own);
    machines.push({ client, mac, space: await segment.join(mac), dir: own });
  }
  return machines;
}

function settingsFor(machines: readonly Machine[], dir: string, more: object = {}): object {
  const nodes = Object.fromEntries(machines.map(({ mac, client }) => [mac, { name: client.name, ip: null }]));
  return { site: join(dir, 'site'), pools: [POOL], lease: 20, nodes, ...more };
}

/** Has what a machine sends to the server’s own address go nowhere; broadcasts still arrive. */
async function loseUnicast({ space }: Machine): Promise<void> {
  const words = ['neighbour', 'replace', SERVER_SIDE.address, 'lladdr', '02:00:00:00:00:99'];
  await space.must('ip', ...words, 'dev', CLIENT_SIDE.interface, 'nud', 'permanent');
}

/** Waits until a machine has `address`, and has written it down if it ever does. */
async function untilUsed({ client, dir, space }: Machine, address: string): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1, await sleep(100)) {
    const { output } = await space.run(['ip', 'address', 'show', 'dev', CLIENT_SIDE.interface]);
    if (output.includes(`inet ${address}/`) && (!client.remembers || (await holds(dir, address)))) return;
  }
  throw new Error(`${client.name} does not use ${address}`);
}

/** Whether a file below `dir` holds `address`, as text or as four bytes. */
async function holds(dir: string, address: string): Promise<boolean> {
  const bytes = Buffer.from(address.split('.').map(Number));
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const content = await readFile(join(entry.parentPath, entry.name));
    if (content.includes(address) || content.includes(bytes)) return true;
  }
  return false;
}

test.serial('udhcpc, dhclient and dhcpcd: lease, renew, rebind, reboot with the old lease, release', (t) =>
  withSegment(async (segment, dir) => {
    const machines = await machinesOn(segment, dir);
    await mkdir(join(dir, 'site'));
    await startServer(segment, settingsFor(machines, dir));
    const wire = await Wire.watch(segment, join(dir, 'wire.pcap'));
    await Promise.all(
      machines.map(async (machine) => {
        const { client, mac, space } = machine;
        const first = await client.start(space, machine.dir);
        const leased = /request selecting, ack (10\.77\.0\.2\d)/;
        const story = await wire.until(mac, leased);
        const address = leased.exec(story.join(', '))?.[1] ?? '';
        await wire.until(mac, new RegExp(`request renewing, ack ${address}`));
        await loseUnicast(machine);
        const rebound = await wire.until(mac, new RegExp(`request rebinding, ack ${address}`));
        t.false(rebound.join().includes('nak'), client.name);

        await first.cut();
        await space.must('ip', 'neighbour', 'flush', 'nud', 'permanent', 'dev', CLIENT_SIDE.interface);
        await space.must('ip', 'address', 'flush', 'dev', CLIENT_SIDE.interface);
        const second = await client.start(space, machine.dir);
        const again = client.remembers ? 'request init-reboot' : 'request selecting';
        const after = rebound.length;
        await wire.until(mac, new RegExp(`${again}, ack ${address}`), after);
        await untilUsed(machine, address);
        await second.release();
        const whole = await wire.until(mac, /release$/);
        t.false(whole.join().includes('nak'), client.name);
      }),
    );
  }),
);

test.serial('udhcpc, dhclient and dhcpcd decline an address that somebody else has, and get another', (t) =>
  withSegment(async (segment, dir) => {
    const machines = await machinesOn(segment, dir);
    await mkdir(join(dir, 'site'));
    await startServer(segment, settingsFor(machines, dir));
    const stranger = await segment.join('52:54:00:00:00:99');
    for (const last of [20, 21, 22])
      await stranger.must('ip', 'address', 'add', `10.77.0.${last}/24`, 'dev', CLIENT_SIDE.interface);
    const wire = await Wire.watch(segment, join(dir, 'wire.pcap'));
    await Promise.all(
      machines.map(async ({ client, mac, space, dir: own }) => {
        const running = await client.start(space, own);
        const story = await wire.until(mac, /ack 10\.77\.0\.2[0-2], decline.* ack 10\.77\.0\.2[3-9]/);
        const given = story.flatMap((words) => /^ack (.*)$/.exec(words)?.[1] ?? []);
        t.is(new Set(given).size, given.length, `${client.name}: what it declined is not given to it again`);
        await running.cut();
      }),
    );
  }),
);

test.serial(
  'a node whose address has changed is refused its old one: when it renews, and at its reboot',
  (t) =>
    withSegment(async (segment, dir) => {
      const machines = await machinesOn(segment, dir);
      await mkdir(join(dir, 'site'));
      const wire = await Wire.watch(segment, join(dir, 'wire.pcap'));
      let server = await startServer(segment, settingsFor(machines, dir));
      const moveTo = async (addressOf: (index: number) => string): Promise<void> => {
        server.child.kill('SIGKILL');
        await once(server.child, 'close');
        const nodes = Object.fromEntries(
          machines.map(({ mac, client }, index) => [mac, { name: client.name, ip: addressOf(index) }]),
        );
        server = await startServer(segment, settingsFor(machines, dir, { nodes }));
      };
      const renewed = (index: number): string => `10.77.0.10${index}`;
      const rebooted = (index: number): string => `10.77.0.11${index}`;
      const startsOver = (address: string): string =>
        `nak, discover, offer ${address}, request selecting, ack ${address}`;
      const running = await Promise.all(
        machines.map(async ({ client, mac, space, dir: own }) => {
          const started = await client.start(space, own);
          await wire.until(mac, /request selecting, ack 10\.77\.0\.2\d/);
          return started;
        }),
      );
      await moveTo(renewed);
      await Promise.all(
        machines.map(async (machine, index) => {
          await wire.until(
            machine.mac,
            new RegExp(`request (?:renewing|rebinding), ${startsOver(renewed(index))}`),
          );
          await untilUsed(machine, renewed(index));
          await running[index]?.cut();
          await machine.space.must('ip', 'address', 'flush', 'dev', CLIENT_SIDE.interface);
        }),
      );
      await moveTo(rebooted);
      await Promise.all(
        machines.map(async ({ client, mac, space, dir: own }, index) => {
          await client.start(space, own);
          const how = client.remembers
            ? `request init-reboot, ${startsOver(rebooted(index))}`
            : rebooted(index);
          await wire.until(mac, new RegExp(how));
        }),
      );
      t.pass();
    }),
);
