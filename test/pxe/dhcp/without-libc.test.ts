import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { DhcpEvent } from '../../../src/pxe/dhcp/event.js';
import { readMessageType } from '../../../src/pxe/dhcp/options.js';
import { decodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { clientMessage, is, MAC } from './messages.js';
import { REAL_CLIENTS } from './real-clients.js';
import { type Heard, event, say, startClient, startServer, withSegment, xid } from './serving.js';
import { SERVER_SIDE } from './segment.js';

const CROWD = 200;
const macOf = (index: number): string => `52:54:00:01:00:${index.toString(16).padStart(2, '0')}`;

test.serial('where the C library cannot be called, a crowd gets its leases, each its own', (t) =>
  withSegment(async (segment, dir) => {
    const site = join(dir, 'site');
    await mkdir(site);
    const nodes = Object.fromEntries(
      Array.from({ length: CROWD }, (_, index) => [macOf(index), { name: `n${index}`, ip: null }]),
    );
    const pools = ['10.77.16.0-10.77.17.255'];
    const server = await startServer(segment, {
      ...{ site, nodes, pools, network: '10.77.0.0/16', isWithoutLibc: true },
    });
    t.deepEqual(await server.next<object>((value) => 'batch' in value), { batch: null });
    const client = await startClient(segment, '10.77.0.200');
    const leases = new Map<string, string>();
    client.send({ do: 'crowd', count: CROWD });
    await client.next<Heard>(({ hex, mac }) => {
      const packet = decodeDhcp(Buffer.from(hex, 'hex'));
      if (readMessageType(packet) === 'ack') leases.set(mac, packet.yiaddr);
      return leases.size >= CROWD / 2; // the rest may have been dropped: datagrams are not asked for again here
    });
    t.is(new Set(leases.values()).size, leases.size);
  }),
);

for (const client of REAL_CLIENTS) {
  test.serial(
    `where the C library cannot be called, ${client.name} gets its reservation and gives it back`,
    (t) =>
      withSegment(async (segment, dir) => {
        const mac = '52:54:00:00:00:21';
        const nodes = { [mac]: { name: 'n1', ip: '10.77.0.11' } };
        const server = await startServer(segment, { nodes, isWithoutLibc: true });
        const machine = await segment.join(mac);
        const running = await client.start(machine, dir);
        t.like(await server.next(event('ack')), { node: 'n1', mac, address: '10.77.0.11' });
        const uses = async (): Promise<boolean> =>
          (await machine.run(['ip', 'address'])).output.includes('inet 10.77.0.11/');
        for (let tries = 0; !(await uses()); tries += 1, await sleep(100))
          if (tries > 300) throw new Error(`${client.name} does not use its address`);
        await running.release();
        t.like(await server.next<DhcpEvent>(event('released')), { node: 'n1', address: '10.77.0.11' });
      }),
  );
}

test.serial('where the C library cannot be called, relays and unicast are answered, too', (t) =>
  withSegment(async (segment) => {
    const subnets = [
      { network: '10.88.0.0/24', server: SERVER_SIDE.address, routers: [], nameServers: [], lease: 600 },
    ].map((subnet) => ({ ...subnet, pools: [], relays: [] }));
    const nodes = { [MAC]: { name: 'n1', ip: '10.88.0.11' } };
    await startServer(segment, { nodes, subnets, isWithoutLibc: true });
    const client = await startClient(segment, '10.77.0.200', 67);
    const relayed = clientMessage([is('discover')], { xid: 7, giaddr: '10.77.0.200', hops: 1 });
    const options = [...relayed.options, { code: 82, data: Buffer.from('05040a580000', 'hex') }];
    say(client, { ...relayed, options }, SERVER_SIDE.address);
    const { hex } = await client.next<Heard>(xid(7));
    t.is(decodeDhcp(Buffer.from(hex, 'hex')).yiaddr, '10.88.0.11');
  }),
);
