import { type BootAnswer, echoOption } from './boot-options.js';
import type { KnownNode } from './facts.js';
import { BROADCAST, UNSPECIFIED, broadcastOf, numberToIpv4 } from './ipv4.js';
import { sizeOf } from './layout.js';
import {
  OPTION,
  addressOption,
  messageTypeOption,
  readMaxMessageSize,
  readParameterRequestList,
  secondsOption,
  textOption,
} from './options.js';
import { BOOTREPLY, BROADCAST_FLAG, type DhcpOption, type DhcpPacket, fitsDhcp } from './packet.js';
import type { Subnet } from './subnets.js';

export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;

/** Where a proxy is asked again by firmware that has its address (PXE specification 2.1 §2.2.3). */
export const PROXY_PORT = 4011;

const IP_AND_UDP_HEADERS = 28;
const SMALLEST_DATAGRAM = 576; // every client takes it (RFC 2131 §2)
const LARGEST_DATAGRAM = 1500; // no fragments: ROMs cannot put them together

/** Options without which a reply means something else; never left out to make it fit. */
const ESSENTIAL: ReadonlySet<number> = new Set([
  OPTION.messageType,
  OPTION.serverIdentifier,
  OPTION.leaseTime,
  OPTION.subnetMask,
  OPTION.clientIdentifier,
  OPTION.relayAgentInformation,
]);

/**
 * Where a reply goes (RFC 2131 §4.1). `unicast-arp` is a client that has no address yet but takes unicast: without a
 * raw socket it can only be reached by broadcast, which §4.1 allows.
 */
export interface Destination {
  readonly kind: 'broadcast' | 'unicast-arp' | 'unicast' | 'relay';
  readonly address: string;
  readonly port: number;
}

/** An offer, or an acknowledgement when `type` is `ack`. `address` is null for INFORM, which leases nothing. */
export function leaseReply(
  request: DhcpPacket,
  type: 'offer' | 'ack',
  address: string | null,
  node: KnownNode,
  subnet: Subnet,
  boot: BootAnswer,
): DhcpPacket {
  const wanted = readParameterRequestList(request);
  const isAsked = (code: number): boolean => wanted === undefined || wanted.includes(code);
  const told = subnetOptionsOf(subnet);
  // Most important first: a reply that does not fit, in overloaded fields either, loses options from the end.
  const options: DhcpOption[] = [messageTypeOption(type), told.server];
  if (address !== null) options.push(told.lease);
  options.push(told.mask, ...boot.options, ...told.always);
  if (isAsked(OPTION.hostName))
    options.push(textOption(OPTION.hostName, node.name.split('.', 1)[0] ?? node.name));
  for (const option of told.asked) if (isAsked(option.code)) options.push(option);
  if (address !== null) for (const option of told.times) if (isAsked(option.code)) options.push(option);
  options.push(
    ...echoOption(request, OPTION.clientIdentifier), // RFC 6842 §3
    ...echoOption(request, OPTION.relayAgentInformation), // RFC 3046 §2.2: last
  );
  const reply = {
    ...replyHeader(request),
    ciaddr: type === 'ack' ? request.ciaddr : UNSPECIFIED,
    yiaddr: address ?? UNSPECIFIED,
    siaddr: boot.siaddr,
    file: boot.fileField,
    options,
  };
  return fitted(reply, maxReplySize(request));
}

/** The options that say the same to every node of a subnet. */
interface SubnetOptions {
  readonly server: DhcpOption;
  readonly lease: DhcpOption;
  readonly mask: DhcpOption;
  readonly always: readonly DhcpOption[];
  readonly asked: readonly DhcpOption[]; // for clients that ask for them
  readonly times: readonly DhcpOption[]; // with a lease, for clients that ask for them
}

const subnetOptions = new WeakMap<Subnet, SubnetOptions>();

function subnetOptionsOf(subnet: Subnet): SubnetOptions {
  const made = subnetOptions.get(subnet);
  if (made !== undefined) return made;
  const { domain, lease, nameServers, network, routers, server } = subnet;
  const options = {
    server: addressOption(OPTION.serverIdentifier, [server]),
    lease: secondsOption(OPTION.leaseTime, lease),
    mask: addressOption(OPTION.subnetMask, [numberToIpv4(network.mask)]),
    always: [
      ...(routers.length > 0 ? [addressOption(OPTION.routers, routers)] : []),
      ...(nameServers.length > 0 ? [addressOption(OPTION.nameServers, nameServers)] : []),
    ],
    asked: [
      ...(domain === undefined ? [] : [textOption(OPTION.domainName, domain)]),
      addressOption(OPTION.broadcastAddress, [broadcastOf(network)]),
    ],
    times: [
      secondsOption(OPTION.renewalTime, lease / 2),
      secondsOption(OPTION.rebindingTime, (lease * 7) / 8),
    ],
  };
  subnetOptions.set(subnet, options);
  return options;
}

/** A proxy's offer or acknowledgement: what to boot, from `server`, and no address. */
export function bootReply(
  request: DhcpPacket,
  type: 'offer' | 'ack',
  server: string,
  boot: BootAnswer,
): DhcpPacket {
  const options = [
    messageTypeOption(type),
    addressOption(OPTION.serverIdentifier, [server]),
    ...boot.options,
    ...echoOption(request, OPTION.clientIdentifier),
    ...echoOption(request, OPTION.relayAgentInformation),
  ];
  const reply = {
    ...replyHeader(request),
    ciaddr: type === 'ack' ? request.ciaddr : UNSPECIFIED,
    siaddr: boot.siaddr,
    file: boot.fileField,
    options,
  };
  return fitted(reply, maxReplySize(request));
}

/** Bytes of options in the 300 bytes of a BOOTP message, between the magic cookie and the end option. */
const BOOTP_OPTIONS = 59;

/**
 * A BOOTP reply that tells a node its address (RFC 951 §7). It holds what RFC 1497 knows and nothing about leases, in the 64
 * bytes that every BOOTP client has for it; what a relay wrote is echoed whatever its length. To a client that sent no magic
 * cookie it is RFC 951's, with nothing in those bytes.
 */
export function bootpReply(
  request: DhcpPacket,
  address: string,
  node: KnownNode,
  subnet: Subnet,
  boot: BootAnswer,
): DhcpPacket {
  const bare: DhcpPacket = {
    ...replyHeader(request),
    ciaddr: request.ciaddr,
    yiaddr: address,
    siaddr: boot.siaddr,
    sname: boot.siaddr === UNSPECIFIED ? '' : boot.siaddr,
    file: boot.fileField,
    options: [],
  };
  if (request.isBare === true) return { ...bare, isBare: true };
  const told = subnetOptionsOf(subnet);
  const relay = echoOption(request, OPTION.relayAgentInformation);
  const options: DhcpOption[] = [];
  const name = textOption(OPTION.hostName, node.name.split('.', 1)[0] ?? node.name);
  for (const option of [told.mask, ...told.always, name, ...told.asked])
    if (sizeOf([...options, option]) <= BOOTP_OPTIONS) options.push(option);
  return { ...bare, options: [...options, ...relay] };
}

/** A refusal: the client is to start over (RFC 2131 §4.3.2, table 3). `message` is for its log. */
export function nakReply(request: DhcpPacket, server: string, message: string): DhcpPacket {
  const header = replyHeader(request);
  return {
    ...header,
    // The client may not have the right address to be reached at through its relay.
    flags: request.giaddr === UNSPECIFIED ? header.flags : header.flags | BROADCAST_FLAG,
    options: [
      messageTypeOption('nak'),
      addressOption(OPTION.serverIdentifier, [server]),
      textOption(OPTION.message, message),
      ...echoOption(request, OPTION.clientIdentifier),
      ...echoOption(request, OPTION.relayAgentInformation),
    ],
  };
}

/** Where `reply` to `request` goes, a refusal or not. */
export function destinationOf(
  request: DhcpPacket,
  reply: DhcpPacket,
  type: 'offer' | 'ack' | 'nak',
): Destination {
  if (request.giaddr !== UNSPECIFIED) return { kind: 'relay', address: request.giaddr, port: SERVER_PORT };
  if (type === 'nak') return { kind: 'broadcast', address: BROADCAST, port: CLIENT_PORT };
  if (reply.ciaddr !== UNSPECIFIED) return { kind: 'unicast', address: reply.ciaddr, port: CLIENT_PORT };
  if (request.flags & BROADCAST_FLAG) return { kind: 'broadcast', address: BROADCAST, port: CLIENT_PORT };
  return { kind: 'unicast-arp', address: reply.yiaddr, port: CLIENT_PORT };
}

/**
 * The most bytes of message the client takes: its option 57 (which counts the IP and UDP headers, RFC 2132 §9.10),
 * but at least 576 and at most 1500 bytes of datagram.
 */
export function maxReplySize(request: DhcpPacket): number {
  const datagram = readMaxMessageSize(request) ?? SMALLEST_DATAGRAM;
  return Math.min(Math.max(datagram, SMALLEST_DATAGRAM), LARGEST_DATAGRAM) - IP_AND_UDP_HEADERS;
}

/** `reply` without as many of its last options as it takes to fit `maxSize` bytes of message; essential ones stay. */
function fitted(reply: DhcpPacket, maxSize: number): DhcpPacket {
  if (fitsDhcp(reply, maxSize)) return reply;
  const options = [...reply.options];
  const shortened = { ...reply, options };
  for (let last = options.length - 1; last >= 0 && !fitsDhcp(shortened, maxSize); last -= 1) {
    const option = options[last];
    if (option !== undefined && !ESSENTIAL.has(option.code)) options.splice(last, 1);
  }
  return shortened;
}

function replyHeader(request: DhcpPacket): Omit<DhcpPacket, 'options'> {
  return {
    op: BOOTREPLY,
    htype: request.htype,
    hops: 0,
    xid: request.xid,
    secs: 0,
    flags: request.flags,
    ciaddr: UNSPECIFIED,
    yiaddr: UNSPECIFIED,
    siaddr: UNSPECIFIED,
    giaddr: request.giaddr,
    chaddr: request.chaddr,
    sname: '',
    file: '',
  };
}
