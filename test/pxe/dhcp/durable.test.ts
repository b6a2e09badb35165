import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readMessageType } from '../../../src/pxe/dhcp/options.js';
import { decodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { defaultConfig } from '../../../src/site/config.js';
import { siteAt } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';
import { type Heard, event, say, startClient, startServer, withSegment } from './serving.js';
import { clientMessage, is, wants } from './messages.js';

const CLIENTS = 600;
const macOf = (index: number): string =>
  `52:54:00:01:${[index >> 8, index & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;

test.serial(
  'whoever got an ACK has its lease, although the server was killed in the middle of a crowd',
  (t) =>
    withSegment(async (segment, dir) => {
      const site = join(dir, 'site');
      await mkdir(site);
      const nodes = Object.fromEntries(
        Array.from({ length: CLIENTS }, (_, index) => [macOf(index), { name: `n${index}`, ip: null }]),
      );
      const wide = { site, nodes, network: '10.77.0.0/16', pools: ['10.77.16.0-10.77.31.255'] };
      const first = await startServer(segment, wide);
      const client = await startClient(segment, '10.77.0.200');
      client.send({ do: 'crowd', count: CLIENTS });
      const acked = new Map<string, string>();
      const note = ({ hex }: Heard): void => {
        const packet = decodeDhcp(Buffer.from(hex, 'hex'));
        const mac = packet.chaddr.toString('hex').replace(/..\B/g, '$&:');
        if (readMessageType(packet) === 'ack') acked.set(mac, packet.yiaddr);
      };
      await client.next<Heard>((heard) => {
        note(heard);
        return acked.size >= 100;
      });
      first.child.kill('SIGKILL');
      await once(first.child, 'close');
      // What was on its way is heard before an answer of the next server.
      const second = await startServer(segment, wide);
      const [mac = '', address = ''] = [...acked][50] ?? [];
      const chaddr = Buffer.from(mac.replaceAll(':', ''), 'hex');
      say(client, clientMessage([is('request'), wants(address)], { xid: 7, chaddr }));
      await client.next<Heard>((heard) => {
        note(heard);
        return heard.xid === 7;
      });
      t.like(await second.next(event('ack')), { address, mac });

      t.true(
        acked.size >= 100 && acked.size < CLIENTS,
        `${acked.size} of ${CLIENTS} were served before it died`,
      );
      const store = await openStore(siteAt(site, defaultConfig()));
      t.teardown(() => store.close());
      const leases = new Map(
        (await store.addresses.ofNodes(Date.now())).map((lease) => [lease.mac, lease.address]),
      );
      t.deepEqual(
        [...acked].filter(([who, where]) => leases.get(who) !== where),
        [],
      );
      t.is(new Set(leases.values()).size, leases.size);
    }),
);
