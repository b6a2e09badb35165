import type { RemoteInfo } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { messageOf } from '../../errors.js';
import type { SubnetConfig } from '../../site/config.js';
import type { BootFacts } from './boot-options.js';
import { classifyClient, describeClient } from './client.js';
import { type Decision, decide, ignore } from './decide.js';
import { type ProxyArrival, decideProxy } from './decide-proxy.js';
import { DhcpError } from './errors.js';
import { type DhcpEvent, eventOf } from './event.js';
import type { DhcpDirectory, DhcpFacts, KnownNode } from './facts.js';
import { HeldAddresses } from './held-addresses.js';
import { BROADCAST, UNSPECIFIED } from './ipv4.js';
import { DEFAULT_LOADERS, type LoaderTable } from './loaders.js';
import { readMachineUuid } from './options.js';
import { BOOTREQUEST, type DhcpPacket, decodeDhcp, encodeDhcp } from './packet.js';
import { Repeats } from '../repeats.js';
import type { AddressState, StrangerState } from '../../store/records.js';
import { type DhcpMode, type InterfaceAddresses, type Places, placesOf } from './places.js';
import { Pools, type Seat } from './pools.js';
import { readRelay } from './relay.js';
import { CLIENT_PORT, PROXY_PORT, SERVER_PORT, maxReplySize } from './reply.js';
import { type Arrival, type DhcpSockets, type Endpoint, openDhcpSockets } from './sockets.js';
import { isRelayOf, subnetOf } from './subnets.js';

/** Messages whose node is being looked up at one time; those above are dropped, and their clients ask again. */
const MAX_PENDING = 256;

const ETHERNET = 1;
const MAC_BYTES = 6;

export interface DhcpServerOptions {
  /** Which interfaces are answered; nothing ever leaves by another one. */
  readonly interfaces: Readonly<Record<string, DhcpMode>>;
  readonly subnets: readonly SubnetConfig[];
  readonly directory: DhcpDirectory;
  /** Loaders that take the place of the usual ones. */
  readonly loaders?: LoaderTable | undefined;
  /** ROMs that take a boot file from a proxy only out of a menu: MAC addresses or their first octets. */
  readonly menus?: readonly string[] | undefined;
  /** Who serves the loaders by TFTP; undefined: nobody. */
  readonly tftpServer: DhcpFacts['tftpServer'];
  /** Where nodes reach HTTP, without a final slash. */
  readonly httpUrl: string;
  readonly log: Logger;
  readonly onEvent?: (event: DhcpEvent) => void;
  /** Where addresses out of pools are kept; without it there are no pools. */
  readonly addresses?: AddressState;
  /** Told of each client that is no node, once a minute. */
  readonly onStranger?: ((seen: Parameters<StrangerState['record']>[0]) => void) | undefined;
  readonly now?: () => number;
  readonly machine?: InterfaceAddresses;
}

export interface DhcpServer {
  /** What is answered: each interface with our address on it. Empty when every interface is off. */
  readonly answering: readonly {
    readonly interface: string;
    readonly server: string;
    readonly mode: Exclude<DhcpMode, 'off'>;
  }[];
  close(): Promise<void>;
}

/** Starts answering on the interfaces that are turned on. Throws PxeError, or DhcpError BAD_ADDRESS, when it cannot. */
export async function startDhcpServer(options: DhcpServerOptions): Promise<DhcpServer> {
  const places = placesOf(options.interfaces, options.subnets, options.machine ?? networkInterfaces());
  const answering = answeringOf(places);
  if (answering.length === 0) return { answering, close: async () => undefined };
  const desk = new Desk(options, places);
  const sockets = await openDhcpSockets({
    endpoints: endpointsOf(places),
    onMessage: (bytes, remote, arrival) => void desk.receive(sockets, bytes, remote, arrival),
    onError: (error) => options.log.warn({ service: 'dhcp' }, `socket: ${messageOf(error)}`),
  });
  for (const place of answering) options.log.info({ service: 'dhcp', ...place }, describePlace(place));
  return { answering, close: () => sockets.close() };
}

/** One line about a place that is answered. */
export function describePlace({ interface: name, server, mode }: DhcpServer['answering'][number]): string {
  return mode === 'proxy'
    ? `DHCP tells known nodes on ${name} what to boot, as the proxy ${server}; addresses come from another server`
    : `DHCP answers known nodes on ${name} as ${server}`;
}

/**
 * Binds the ports that startDhcpServer would and lets them go, having read nothing. Gives a line for each place, and
 * throws what startDhcpServer would.
 */
export async function tryDhcpPorts(
  interfaces: DhcpServerOptions['interfaces'],
  configured: readonly SubnetConfig[],
): Promise<readonly string[]> {
  const places = placesOf(interfaces, configured, networkInterfaces());
  const endpoints = endpointsOf(places);
  if (endpoints.length === 0) return [];
  const sockets = await openDhcpSockets({ endpoints, onMessage: () => undefined, onError: () => undefined });
  await sockets.close();
  return answeringOf(places).map(describePlace);
}

function answeringOf({ subnets, proxies }: Places): DhcpServer['answering'] {
  return [
    ...subnets.map(({ interface: name, server }) => ({
      interface: name,
      server,
      mode: 'authoritative' as const,
    })),
    ...proxies.map((place) => ({ ...place, mode: 'proxy' as const })),
  ];
}

function endpointsOf({ subnets, proxies }: Places): readonly Endpoint[] {
  return [
    ...subnets.map(({ server }) => ({ address: server, port: SERVER_PORT, shared: false })),
    ...proxies.flatMap(({ server }) =>
      [SERVER_PORT, PROXY_PORT].map((port) => ({ address: server, port, shared: true })),
    ),
  ];
}

/** Takes messages in, has them decided, and sends what was decided. */
class Desk {
  readonly #options: DhcpServerOptions;
  readonly #places: Places;
  readonly #boot: BootFacts;
  readonly #menus: readonly string[];
  readonly #now: () => number;
  readonly #held = new HeldAddresses();
  readonly #pools: Pools | undefined;
  readonly #repeats = new Repeats();
  #pending = 0;

  constructor(options: DhcpServerOptions, places: Places) {
    this.#options = options;
    this.#places = places;
    this.#now = options.now ?? Date.now;
    this.#pools = options.addresses && new Pools(options.addresses);
    this.#menus = (options.menus ?? []).map((prefix) => prefix.toLowerCase());
    this.#boot = {
      tftpServer: options.tftpServer,
      httpUrl: options.httpUrl,
      loaders: { ...DEFAULT_LOADERS, ...options.loaders },
    };
  }

  /** Handles one datagram. Never throws or rejects, whatever it holds. */
  async receive(sockets: DhcpSockets, bytes: Buffer, remote: RemoteInfo, arrival: Arrival): Promise<void> {
    if (this.#pending >= MAX_PENDING) {
      this.#warn(
        'overload',
        `more than ${MAX_PENDING} messages at once; some are dropped, their clients ask again`,
      );
      return;
    }
    this.#pending += 1;
    try {
      await this.#answer(sockets, decodeDhcp(bytes), remote, arrival);
    } catch (error) {
      const text = messageOf(error);
      if (error instanceof DhcpError)
        this.#warn(`${remote.address} ${error.code}`, `${remote.address}: ${text}`);
      else this.#warn(text, `a message from ${remote.address} could not be answered: ${text}`);
    } finally {
      this.#pending -= 1;
    }
  }

  async #answer(
    sockets: DhcpSockets,
    packet: DhcpPacket,
    remote: RemoteInfo,
    arrival: Arrival,
  ): Promise<void> {
    const mac = macOf(packet);
    if (mac === undefined || packet.op !== BOOTREQUEST) return;
    const port = this.#trustedPort(packet, arrival);
    const node = await this.#options.directory.find({ mac, uuid: readMachineUuid(packet), port });
    const now = this.#now();
    if (node === undefined) this.#recordStranger(packet, mac, port, now);
    const decisions = [
      ...(await this.#decideHere(packet, mac, node, arrival, now)),
      ...this.#decideAsProxy(packet, node, arrival, remote),
    ];
    for (const decision of decisions) {
      if (decision.kind === 'decline') this.#held.hold(decision.address, decision.until);
      if (decision.kind !== 'reply') continue;
      const bytes = encodeDhcp(decision.packet, maxReplySize(packet));
      const from = { address: decision.from, port: decision.port };
      await sockets.send(bytes, from, reachable(decision.to));
    }
    for (const decision of worthTelling(decisions))
      this.#report(decision, packet, mac, node?.name ?? null, now);
  }

  /** Decides for the authoritative subnets that the message may be from. */
  async #decideHere(
    packet: DhcpPacket,
    mac: string,
    node: KnownNode | undefined,
    arrival: Arrival,
    now: number,
  ): Promise<readonly Decision[]> {
    const subnets = this.#subnetsFor(arrival);
    if (subnets.length === 0) return [];
    const seats =
      node?.ip === null ? await this.#pools?.seatsFor(packet, mac, node, subnets, now) : undefined;
    if (seats !== undefined && seats.length > 0) return this.#decideSeated(packet, mac, seats, now);
    const heldUntil = node?.ip == null ? undefined : this.#held.heldUntil(node.ip, now);
    return [decide(packet, { ...this.#boot, subnets, node, heldUntil }, now)];
  }

  /** Decides about a node with addresses out of pools; what is acknowledged is durable by then. */
  async #decideSeated(
    packet: DhcpPacket,
    mac: string,
    seats: readonly Seat[],
    now: number,
  ): Promise<readonly Decision[]> {
    const decisions: Decision[] = [];
    for (const seat of seats) {
      const decision = decide(packet, { ...this.#boot, ...seat, heldUntil: undefined }, now);
      const lasts = await this.#pools?.settle(decision, mac, seat, now);
      decisions.push(
        lasts === false
          ? ignore('lease-lost', `${seat.node.name} was too late for ${seat.node.ip ?? ''}; it asks again.`)
          : decision,
      );
    }
    return decisions;
  }

  #recordStranger(packet: DhcpPacket, mac: string, port: string | undefined, now: number): void {
    const { onStranger } = this.#options;
    if (onStranger === undefined || !this.#repeats.isNew(`stranger ${mac}`, now)) return;
    const client = describeClient(classifyClient(packet));
    onStranger({ mac, client, uuid: readMachineUuid(packet) ?? null, port: port ?? null, at: now });
  }

  /** Decides for each proxy: which wire a broadcast is from is not known, and its client hears only its own. */
  #decideAsProxy(
    packet: DhcpPacket,
    node: KnownNode | undefined,
    arrival: Arrival,
    sender: RemoteInfo,
  ): readonly Decision[] {
    const via: ProxyArrival =
      arrival.kind === 'unicast' && arrival.port === PROXY_PORT
        ? { port: PROXY_PORT, sender }
        : { port: SERVER_PORT };
    return this.#places.proxies
      .filter(({ server }) => arrival.kind === 'broadcast' || arrival.server === server)
      .map(({ server }) => decideProxy(packet, { ...this.#boot, node, server, menus: this.#menus }, via));
  }

  #subnetsFor(arrival: Arrival): DhcpFacts['subnets'] {
    const { subnets } = this.#places;
    if (arrival.kind === 'broadcast') return subnets;
    const interfaces = subnets
      .filter(({ server }) => server === arrival.server)
      .map((subnet) => subnet.interface);
    return subnets.filter((subnet) => interfaces.includes(subnet.interface));
  }

  /** The switch port a relay names, when the relay is one of a subnet's own; a client can write anything. */
  #trustedPort(packet: DhcpPacket, arrival: Arrival): string | undefined {
    const relay = readRelay(packet);
    if (relay === undefined || arrival.kind === 'broadcast') return undefined;
    const subnet = subnetOf(this.#subnetsFor(arrival), relay.link);
    return subnet !== undefined && isRelayOf(subnet, relay.address) ? relay.port : undefined;
  }

  #report(decision: Decision, packet: DhcpPacket, mac: string, node: string | null, now: number): void {
    const event = eventOf(decision, packet, mac, node, now);
    if (event.kind === 'ignored' && !this.#repeats.isNew(`${mac} ${event.reason}`, now)) return;
    const line = `${event.kind} ${node ?? mac}: ${event.detail}`;
    const fields = { service: 'dhcp', mac, node, address: event.address, client: event.client };
    if (event.kind === 'nak' || event.kind === 'declined') this.#options.log.warn(fields, line);
    else this.#options.log.info(fields, line);
    this.#options.onEvent?.(event);
  }

  #warn(kind: string, line: string): void {
    if (this.#repeats.isNew(kind, this.#now())) this.#options.log.warn({ service: 'dhcp' }, line);
  }
}

/** What was done, each once; when nothing was, the first reason why. */
function worthTelling(decisions: readonly Decision[]): readonly Decision[] {
  const done = decisions.filter(({ kind }) => kind !== 'ignore');
  if (done.length === 0) return decisions.slice(0, 1);
  return [...new Map(done.map((decision) => [`${decision.kind} ${decision.detail}`, decision])).values()];
}

/** The sender's MAC, lower case and colon-separated; undefined when the hardware is not Ethernet. */
function macOf(packet: DhcpPacket): string | undefined {
  if (packet.htype !== ETHERNET || packet.chaddr.length !== MAC_BYTES) return undefined;
  return [...packet.chaddr].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Where a datagram socket can reach `to`: a client without an address only by broadcast (RFC 2131 §4.1). */
function reachable(to: Extract<Decision, { kind: 'reply' }>['to']): { address: string; port: number } {
  if (to.kind === 'unicast-arp' || to.address === UNSPECIFIED)
    return { address: BROADCAST, port: CLIENT_PORT };
  return { address: to.address, port: to.port };
}
