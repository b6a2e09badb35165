import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DhcpEvent } from '../../../src/pxe/dhcp/event.js';
import { BROADCAST } from '../../../src/pxe/dhcp/ipv4.js';
import { type DhcpPacket, encodeDhcp } from '../../../src/pxe/dhcp/packet.js';
import { MAC } from './messages.js';
import { CLIENT_SIDE, type Peer, SERVER_SIDE, type Segment, openSegment, startPeer } from './segment.js';

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
