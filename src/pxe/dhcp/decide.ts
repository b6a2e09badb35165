import { bootAnswer } from './boot-options.js';
import { classifyClient } from './client.js';
import type { DhcpFacts, KnownNode } from './facts.js';
import { UNSPECIFIED, isInNetwork } from './ipv4.js';
import { OPTION, readAddress, readMessageType } from './options.js';
import { BOOTREQUEST, type DhcpPacket } from './packet.js';
import { readRelay } from './relay.js';
import {
  type Destination,
  type PROXY_PORT,
  SERVER_PORT,
  bootpReply,
  destinationOf,
  leaseReply,
  nakReply,
} from './reply.js';
import { type Subnet, isOnLink, isRelayOf, subnetOf } from './subnets.js';

/** How long an address that a client declined is not given out unless told otherwise, in milliseconds. */
export const DECLINE_HOLD = 60_000;

/** Why a message is not answered. */
export type IgnoreReason =
  | 'not-a-request' // a reply, or a message type no server answers
  | 'unknown-node'
  | 'no-reservation' // it has no address of its own, and no pool has one for it
  | 'wrong-subnet' // the reservation is not in a subnet that may be answered here
  | 'unknown-relay' // dhcp.subnets names the relays of that network, and not this one
  | 'address-held' // a client declined it a moment ago
  | 'other-server' // the client chose another server, or means one that gives addresses
  | 'no-boot' // a proxy has nothing for it
  | 'malformed';

/** What to do about a message. `node` is a name; `detail` is one line for the log. */
export type Decision =
  | {
      readonly kind: 'reply';
      readonly type: 'offer' | 'ack' | 'nak';
      readonly node: string;
      readonly address: string | null; // given out; null for INFORM and NAK
      readonly bootFile: string | null;
      readonly detail: string;
      readonly packet: DhcpPacket;
      readonly from: string; // the source address: ours on the client's network
      readonly port: typeof SERVER_PORT | typeof PROXY_PORT; // the source port
      readonly isProxy: boolean;
      readonly to: Destination;
    }
  | {
      readonly kind: 'decline';
      readonly node: string;
      readonly address: string;
      readonly until: number; // milliseconds since the epoch
      readonly detail: string;
    }
  | { readonly kind: 'release'; readonly node: string; readonly address: string; readonly detail: string }
  | { readonly kind: 'ignore'; readonly reason: IgnoreReason; readonly detail: string };

/**
 * What an authoritative server of reservations does about `packet` (RFC 2131 §4.3). Reads nothing but its arguments;
 * `now` is in milliseconds since the epoch. Throws DhcpError BAD_OPTION when an option that steers the protocol
 * (50, 53, 54) is malformed; other malformed options count as absent.
 */
export function decide(packet: DhcpPacket, facts: DhcpFacts, now: number): Decision {
  const type = readMessageType(packet);
  if (packet.op !== BOOTREQUEST) return ignore('not-a-request', 'it is a reply');
  if (type !== undefined && !['discover', 'request', 'decline', 'release', 'inform'].includes(type)) {
    return ignore('not-a-request', 'its message type is not one that a server answers');
  }

  const { node } = facts;
  if (node === undefined)
    return ignore('unknown-node', 'no node has this MAC; add it with `rackboot node add`.');
  if (type === undefined) return answerBootp(packet, node, facts, now);
  if (type === 'inform') return answerInform(packet, node, facts);
  const serverId = readAddress(packet, OPTION.serverIdentifier);
  if (node.ip === null) {
    if (serverId !== undefined && !facts.subnets.some(({ server }) => server === serverId)) {
      return ignore('other-server', `${node.name} chose the DHCP server ${serverId}.`);
    }
    return ignore(
      'no-reservation',
      `${node.name} has no address, and no pool has a free one; give it one: rackboot node set ${node.name} --ip ADDRESS.`,
    );
  }
  const requested = readAddress(packet, OPTION.requestedAddress);
  const place = placeOf(packet, node.name, node.ip, facts);
  if (place.kind === 'ignore') {
    return type === 'request' && serverId === undefined
      ? (refuseMoved(packet, node, requested, facts) ?? place)
      : place;
  }
  const asked: Asked = { packet, node, address: node.ip, subnet: place.subnet, facts };
  if (serverId !== undefined && serverId !== place.subnet.server) {
    return ignore(
      'other-server',
      `${node.name} chose the DHCP server ${serverId}; there is another one on its network.`,
    );
  }

  switch (type) {
    case 'decline':
      if (requested !== node.ip)
        return ignore('malformed', `${node.name} declines an address that is not its own.`);
      return {
        kind: 'decline',
        node: node.name,
        address: node.ip,
        until: now + (facts.declinedMs ?? DECLINE_HOLD),
        detail: `another machine uses its address ${node.ip}; find it, or change the reservation.`,
      };
    case 'release':
      if (packet.ciaddr !== node.ip)
        return ignore('malformed', `${node.name} releases an address that is not its own.`);
      return { kind: 'release', node: node.name, address: node.ip, detail: 'gave its address back' };
    default:
  }
  if (facts.heldUntil !== undefined && now < facts.heldUntil) {
    return ignore('address-held', `${node.name} declined ${node.ip}; it is offered again in a while.`);
  }
  return type === 'discover' ? accept(asked, 'offer') : answerRequest(asked, requested, serverId);
}

/** A message of a node whose address lies in `subnet`. */
interface Asked {
  readonly packet: DhcpPacket;
  readonly node: KnownNode;
  readonly address: string;
  readonly subnet: Subnet;
  readonly facts: DhcpFacts;
}

type Ignored = Extract<Decision, { kind: 'ignore' }>;

/** The subnet the node is answered in: it holds the node's address, and is the one the message came from. */
function placeOf(
  packet: DhcpPacket,
  name: string,
  address: string,
  facts: DhcpFacts,
): { readonly kind: 'subnet'; readonly subnet: Subnet } | Ignored {
  const subnet = subnetOf(facts.subnets, address);
  if (subnet === undefined) {
    return ignore(
      'wrong-subnet',
      `${name}: its address ${address} is in no subnet answered here; see dhcp.subnets.`,
    );
  }
  const relay = readRelay(packet);
  if (relay !== undefined && subnetOf(facts.subnets, relay.link) !== subnet) {
    return ignore(
      'wrong-subnet',
      `${name}: its address ${address} is not in the network of the relay ${packet.giaddr}.`,
    );
  }
  if (relay !== undefined && !isRelayOf(subnet, relay.address)) {
    return ignore(
      'unknown-relay',
      `${name}: ${relay.address} is no relay of its network; add it to relays in dhcp.subnets if it is one.`,
    );
  }
  if (relay === undefined && packet.ciaddr === UNSPECIFIED && !isOnLink(subnet)) {
    return ignore(
      'wrong-subnet',
      `${name}: its address ${address} is behind a relay, but it asked directly.`,
    );
  }
  return { kind: 'subnet', subnet };
}

/** REQUEST in its four states (RFC 2131 §4.3.2); all come down to whether the client means its reservation. */
function answerRequest(asked: Asked, requested: string | undefined, serverId: string | undefined): Decision {
  const { packet, node, address, subnet } = asked;
  const meant = requested ?? (packet.ciaddr === UNSPECIFIED ? undefined : packet.ciaddr);
  if (meant === undefined) return ignore('malformed', `${node.name} asks for no address at all.`);
  if (meant === address && (packet.ciaddr === UNSPECIFIED || packet.ciaddr === address))
    return accept(asked, 'ack');
  const state = serverId !== undefined ? 'selecting' : requested !== undefined ? 'init-reboot' : 'renewing';
  return refuse(packet, node, subnet, `asked for ${meant} (${state}); its address is ${address}`);
}

/** The refusal for a node that came up behind another relay with its old address, or undefined when it is none. */
function refuseMoved(
  packet: DhcpPacket,
  node: KnownNode,
  requested: string | undefined,
  facts: DhcpFacts,
): Decision | undefined {
  const relay = readRelay(packet);
  if (relay === undefined || requested === undefined) return undefined;
  const subnet = subnetOf(facts.subnets, relay.link);
  if (subnet === undefined || isInNetwork(subnet.network, requested)) return undefined;
  if (!isRelayOf(subnet, relay.address)) return undefined;
  return refuse(
    packet,
    node,
    subnet,
    `asked for ${requested}, which is not in the network of its relay ${packet.giaddr}`,
  );
}

function refuse(packet: DhcpPacket, node: KnownNode, subnet: Subnet, detail: string): Decision {
  const reply = nakReply(packet, subnet.server, detail);
  const to = destinationOf(packet, reply, 'nak');
  return {
    kind: 'reply',
    type: 'nak',
    node: node.name,
    address: null,
    bootFile: null,
    detail,
    packet: reply,
    from: subnet.server,
    port: SERVER_PORT,
    isProxy: false,
    to,
  };
}

/** INFORM (RFC 2131 §4.3.5): settings for a client that has its address, whatever it is, from elsewhere. */
function answerInform(packet: DhcpPacket, node: KnownNode, facts: DhcpFacts): Decision {
  if (packet.ciaddr === UNSPECIFIED)
    return ignore('malformed', `${node.name} asks for settings and says no address.`);
  const place = placeOf(packet, node.name, packet.ciaddr, facts);
  if (place.kind === 'ignore') return place;
  return accept({ packet, node, address: packet.ciaddr, subnet: place.subnet, facts }, 'ack', null);
}

/** The firmware that asks by BOOTP: it says nothing about itself, and there is none of it for UEFI. */
const BOOTP_ROM = { kind: 'pxe', arch: 0 } as const;

/**
 * BOOTP (RFC 951, RFC 1542): a node that has a reservation is told of it, for good. There is no lease, so nothing out of a
 * pool is ever given (RFC 1534 §2 leaves that to the server).
 */
function answerBootp(packet: DhcpPacket, node: KnownNode, facts: DhcpFacts, now: number): Decision {
  if (node.ip === null) {
    const mend = `give it an address: rackboot node set ${node.name} --ip ADDRESS.`;
    return ignore('no-reservation', `${node.name} asks by BOOTP, which pools do not answer; ${mend}`);
  }
  const place = placeOf(packet, node.name, node.ip, facts);
  if (place.kind === 'ignore') return place;
  const { subnet } = place;
  if (packet.sname !== '' && packet.sname !== subnet.server)
    return ignore('other-server', `${node.name} asks another BOOTP server by its name.`);
  if (facts.heldUntil !== undefined && now < facts.heldUntil)
    return ignore('address-held', `${node.name} declined ${node.ip}; it is offered again in a while.`);
  const boot = bootAnswer(packet, BOOTP_ROM, node, subnet.server, facts);
  const reply = bootpReply(packet, node.ip, node, subnet, boot);
  return {
    kind: 'reply',
    type: 'ack',
    node: node.name,
    address: node.ip,
    bootFile: boot.file,
    detail: boot.file === null ? `by BOOTP, no boot file: ${boot.why}` : `by BOOTP, boot file ${boot.file}`,
    packet: reply,
    from: subnet.server,
    port: SERVER_PORT,
    isProxy: false,
    to: destinationOf(packet, reply, 'ack'),
  };
}

function accept(asked: Asked, type: 'offer' | 'ack', address: string | null = asked.address): Decision {
  const { packet, node, subnet, facts } = asked;
  const boot = bootAnswer(packet, classifyClient(packet), node, subnet.server, facts);
  const reply = leaseReply(packet, type, address, node, subnet, boot);
  return {
    kind: 'reply',
    type,
    node: node.name,
    address,
    bootFile: boot.file,
    detail: boot.file === null ? `no boot file: ${boot.why}` : `boot file ${boot.file}`,
    packet: reply,
    from: subnet.server,
    port: SERVER_PORT,
    isProxy: false,
    to: destinationOf(packet, reply, type),
  };
}

/** The decision to say nothing. */
export function ignore(reason: IgnoreReason, detail: string): Ignored {
  return { kind: 'ignore', reason, detail };
}
