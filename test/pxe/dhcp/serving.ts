import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DhcpEvent } from '../../../src/pxe/dhcp/event.js';
import { BROADCAST } from '../../../src/pxe/dhcp/ipv4.js';
import { type DhcpPacket, encodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { MAC } from './messages.js';
import {
  CLIENT_SIDE,
  type Namespace,
  type Peer,
  SERVER_SIDE,
  type Segment,
  openSegment,
  startPeer,
} from './segment.js';

/** The path of a compiled script of these tests. */
export const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The one node of most tests. */
export const NODES = { [MAC]: { name: 'n1', ip: '10.77.0.11' } };

/** A message as the test client prints it. */
export interface Heard {
  readonly via: 'unicast' | 'broadcast';
  readonly from: string;
  readonly port: number;
  readonly hex: string;
  readonly mac: string;
  readonly xid: number;
}

/** Runs `body` on a segment of its own, with an empty directory; both go afterwards. */
export async function withSegment(body: (segment: Segment, dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-dhcp-'));
  const segment = await openSegment();
  try {
    await body(segment, dir);
  } finally {
    await segment.close();
    await rm(dir, { recursive: true });
  }
}

/** Starts serve-dhcp.js with `settings`; throws what it says when it cannot. */
export async function startServer(segment: Segment, settings: object = {}): Promise<Peer> {
  const all = {
    interfaces: { [SERVER_SIDE.interface]: 'authoritative' },
    server: SERVER_SIDE.address,
    nodes: NODES,
    ...settings,
  };
  const server = startPeer(segment.server, here('serve-dhcp.js'), [JSON.stringify(all)]);
  const said = await server.next<{ up?: unknown; error?: { message: string } }>(
    (value) => 'up' in value || 'error' in value,
  );
  if (said.error !== undefined) throw new Error(said.error.message);
  return server;
}

/** Starts talk-dhcp.js at `address`, which the client’s side is given. */
export async function startClient(segment: Segment, address: string, port = 68): Promise<Peer> {
  await segment.client.must('ip', 'address', 'add', `${address}/24`, 'dev', CLIENT_SIDE.interface);
  const client = startPeer(segment.client, here('talk-dhcp.js'), [address, String(port)]);
  await client.next<object>((value) => 'up' in value);
  return client;
}

/** Has a talk-dhcp.js send `packet`. */
export function say(client: Peer, packet: DhcpPacket, address: string = BROADCAST): void {
  client.send({ do: 'send', hex: encodeDhcp(packet).toString('hex'), address, port: 67 });
}

/** Matches events of a kind, and messages of a transaction. */
export const event = (kind: DhcpEvent['kind']) => (value: Partial<DhcpEvent>) => value.kind === kind;
export const xid = (wanted: number) => (value: Partial<Heard>) => value.xid === wanted;

/** Starts dnsmasq, which gives addresses of 10.77.0.100 to 150 and knows nothing about booting. It shares port 67. */
export async function startDnsmasq(
  dir: string,
  machine: Namespace,
  device: string = SERVER_SIDE.interface,
): Promise<void> {
  const dnsmasq = machine.spawn([
    ...['dnsmasq', '--keep-in-foreground', '--log-facility=-', '--conf-file=/dev/null', '--user=root'],
    ...['--port=0', '--bind-dynamic', `--interface=${device}`, '--no-ping'],
    ...['--dhcp-range=10.77.0.100,10.77.0.150,1h', `--dhcp-leasefile=${join(dir, 'leases')}`, '--pid-file='],
  ]);
  await saying(dnsmasq, 'DHCP, IP range', 'dnsmasq (package dnsmasq-base)');
}

/**
 * Starts dhcrelay in the client's namespace, from the second wire (as 10.88.0.1, with option 82) to `server` on the first.
 * The server's end of the second wire then is a node's place, with no address.
 */
export async function startRelay(segment: Segment, server: string = SERVER_SIDE.address): Promise<void> {
  const { client } = segment;
  await client.must('ip', 'address', 'add', '10.77.0.250/24', 'dev', CLIENT_SIDE.interface);
  await client.must('ip', 'address', 'flush', 'dev', CLIENT_SIDE.other);
  await client.must('ip', 'address', 'add', '10.88.0.1/24', 'dev', CLIENT_SIDE.other);
  await segment.server.must('ip', 'route', 'add', '10.88.0.0/24', 'via', '10.77.0.250');
  const relay = client.spawn([
    ...['dhcrelay', '-4', '-d', '--no-pid', '-a', '-id', CLIENT_SIDE.other, '-iu', CLIENT_SIDE.interface],
    server,
  ]);
  await saying(relay, 'Sending on   Socket', 'dhcrelay (package isc-dhcp-relay)');
  await segment.server.must('ip', 'address', 'flush', 'dev', SERVER_SIDE.other);
}

/** Waits until `child` has written `words` to standard error. */
async function saying(child: ChildProcess, words: string, name: string): Promise<void> {
  let text = '';
  child.stderr?.on('data', (bytes: Buffer) => (text += bytes.toString()));
  for (let tries = 0; !text.includes(words); tries += 1, await sleep(50))
    if (tries > 200) throw new Error(`${name}: ${text}`);
}
