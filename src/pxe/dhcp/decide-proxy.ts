import { bootMenu, chosenItem } from './boot-menu.js';
import { type BootAnswer, type BootFacts, bootAnswer } from './boot-options.js';
import { classifyClient } from './client.js';
import { type Decision, ignore } from './decide.js';
import type { KnownNode } from './facts.js';
import { BROADCAST, UNSPECIFIED } from './ipv4.js';
import { OPTION, readMessageType, textOption } from './options.js';
import { BOOTREQUEST, type DhcpOption, type DhcpPacket } from './packet.js';
import { CLIENT_PORT, type Destination, PROXY_PORT, SERVER_PORT, bootReply } from './reply.js';

/** Everything a proxy's answer depends on besides the message. */
export interface ProxyFacts extends BootFacts {
  readonly node: KnownNode | undefined;
  readonly server: string; // our address on the client's network
  /** ROMs that only boot out of a menu: MAC addresses or their first octets, lower case. */
  readonly menus: readonly string[];
}

/** How a message reached a proxy. `sender` is where a datagram to port 4011 came from. */
export type ProxyArrival =
  | { readonly port: typeof SERVER_PORT }
  | {
      readonly port: typeof PROXY_PORT;
      readonly sender: { readonly address: string; readonly port: number };
    };

/**
 * What a proxy DHCP server does about `packet` (PXE specification 2.1 §2.2.3; UEFI 2.10 §24.7.3): it tells known nodes
 * whose firmware asks what to boot, and leaves addresses to another server. Never fills in yiaddr. Throws DhcpError
 * BAD_OPTION as decide does.
 */
export function decideProxy(packet: DhcpPacket, facts: ProxyFacts, arrival: ProxyArrival): Decision {
  const type = readMessageType(packet);
  if (packet.op !== BOOTREQUEST || type === undefined) {
    return ignore('not-a-request', 'it is a reply, or plain BOOTP');
  }
  const { node, server } = facts;
  if (node === undefined) {
    return ignore('unknown-node', 'no node has this MAC; add it with `rackboot node add`.');
  }
  const isDiscovery = type === 'discover' && arrival.port === SERVER_PORT;
  const isQuestion = type === 'inform' || (type === 'request' && arrival.port === PROXY_PORT);
  if (!isDiscovery && !isQuestion) {
    return ignore('other-server', `${node.name} deals with the server that gives it its address.`);
  }
  const client = classifyClient(packet);
  if (client.kind === 'other') return ignore('no-boot', `${node.name} runs an operating system.`);
  const boot = bootAnswer(packet, client, node, server, facts);
  if (boot.file === null) return ignore('no-boot', `${node.name}: no boot file: ${boot.why}`);

  const reply = bootReply(
    packet,
    isDiscovery ? 'offer' : 'ack',
    server,
    proxyAnswer(packet, boot, facts, isDiscovery),
  );
  return {
    kind: 'reply',
    type: isDiscovery ? 'offer' : 'ack',
    node: node.name,
    address: null,
    bootFile: boot.file,
    detail: `boot file ${boot.file}, as a proxy`,
    packet: reply,
    from: server,
    port: arrival.port,
    isProxy: true,
    to: destinationOf(packet, arrival),
  };
}

/** `boot` as a proxy says it: always with the class by which firmware tells a proxy's offer, with a menu where a ROM needs one. */
function proxyAnswer(
  packet: DhcpPacket,
  boot: BootAnswer,
  { server, menus }: ProxyFacts,
  isDiscovery: boolean,
): BootAnswer {
  const named = boot.options.some(({ code }) => code === OPTION.vendorClass)
    ? boot.options
    : [textOption(OPTION.vendorClass, 'PXEClient'), ...boot.options];
  const mac = [...packet.chaddr].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  const hasControl = named.some(({ code }) => code === OPTION.vendorSpecific);
  const needsMenu = hasControl && menus.some((prefix) => mac.startsWith(prefix));
  const vendor = isDiscovery ? (needsMenu ? bootMenu(server) : undefined) : chosenItem(packet);
  if (vendor === undefined) return { ...boot, options: named };
  const replaced = named.map((option): DhcpOption => (option.code === vendor.code ? vendor : option));
  return { ...boot, options: hasControl ? replaced : [...named, vendor] };
}

function destinationOf(packet: DhcpPacket, arrival: ProxyArrival): Destination {
  if (arrival.port === PROXY_PORT) {
    const { address, port } = arrival.sender;
    return { kind: 'unicast', address: packet.ciaddr === UNSPECIFIED ? address : packet.ciaddr, port };
  }
  if (packet.giaddr !== UNSPECIFIED) return { kind: 'relay', address: packet.giaddr, port: SERVER_PORT };
  const isInform = readMessageType(packet) === 'inform';
  if (isInform && packet.ciaddr !== UNSPECIFIED)
    return { kind: 'unicast', address: packet.ciaddr, port: CLIENT_PORT };
  return { kind: 'broadcast', address: BROADCAST, port: CLIENT_PORT };
}
