import test from 'ava';
import { BROADCAST } from '../../../src/pxe/dhcp/ipv4.js';
import { BOOTREPLY, BROADCAST_FLAG, decodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { CLIENT_SIDE, type Segment } from './segment.js';
import { MAC } from './messages.js';
import { type Heard, event, startClient, startServer, withSegment, xid } from './serving.js';

const ASK = ['bootpc', '--dev', CLIENT_SIDE.interface, '--returniffail', '--serverbcast', '--timeoutwait'];

/** It sends to where the route for broadcasts leads, and needs one. */
const wayOut = (segment: Segment): Promise<unknown> =>
  segment.client.must('ip', 'route', 'add', 'default', 'dev', CLIENT_SIDE.interface);

test.serial('bootpc, a BOOTP client, is told its reservation', (t) =>
  withSegment(async (segment) => {
    const server = await startServer(segment);
    await wayOut(segment);
    const client = segment.client.spawn([...ASK, '10']);
    let said = '';
    client.stdout?.on('data', (bytes: Buffer) => (said += bytes.toString()));
    client.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const ended = new Promise((resolve) => client.once('close', resolve));
    t.like(await server.next(event('ack')), { node: 'n1', mac: MAC, address: '10.77.0.11' });
    await ended;
    t.regex(said, /^IPADDR='10\.77\.0\.11'$/m);
    t.regex(said, /^NETMASK='255\.255\.255\.0'$/m);
    t.regex(said, /^GATEWAYS='10\.77\.0\.254 ?'$/m);
    t.regex(said, /^HOSTNAME='n1'$/m);
  }),
);

/** A BOOTREQUEST of RFC 951 from `mac`, 300 bytes; its vendor field begins with `vend`. */
function plainRequest(mac: string, xid: number, vend: string): string {
  const bytes = Buffer.alloc(300);
  bytes.writeUInt32BE(0x01010600);
  bytes.writeUInt32BE(xid, 4);
  bytes.writeUInt16BE(BROADCAST_FLAG, 10);
  bytes.write(mac.replaceAll(':', ''), 28, 'hex');
  bytes.write(vend, 236, 'hex');
  return bytes.toString('hex');
}

test.serial('BOOTP clients of before the magic cookie are told their reservation in like manner', (t) =>
  withSegment(async (segment) => {
    const server = await startServer(segment);
    const client = await startClient(segment, '10.77.0.200');
    for (const [number, vend] of ['', '434d5500', 'ff'.repeat(64)].entries()) {
      const id = 0x951 + number;
      client.send({ do: 'send', hex: plainRequest(MAC, id, vend), address: BROADCAST, port: 67 });
      const { hex, via } = await client.next<Heard>(xid(id));
      t.is(via, 'broadcast');
      const bytes = Buffer.from(hex, 'hex');
      t.is(bytes.length, 300);
      t.true(bytes.subarray(236).every((byte) => byte === 0));
      t.like(decodeDhcp(bytes), { op: BOOTREPLY, yiaddr: '10.77.0.11', isBare: true });
      t.like(await server.next(event('ack')), { node: 'n1', mac: MAC, address: '10.77.0.11' });
    }
    const stranger = '52:54:00:00:00:99';
    client.send({ do: 'send', hex: plainRequest(stranger, 1, ''), address: BROADCAST, port: 67 });
    t.like(await server.next(event('ignored')), { node: null, mac: stranger, reason: 'unknown-node' });
  }),
);

test.serial('a BOOTP client without a reservation gets nothing out of a pool', (t) =>
  withSegment(async (segment) => {
    const nodes = { [MAC]: { name: 'n1', ip: null } };
    const server = await startServer(segment, { nodes, pools: ['10.77.0.100-10.77.0.110'] });
    await wayOut(segment);
    const client = segment.client.spawn([...ASK, '10']);
    t.like(await server.next(event('ignored')), { node: 'n1', reason: 'no-reservation', address: null });
    client.kill('SIGKILL');
  }),
);
