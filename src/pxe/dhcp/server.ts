import type { RemoteInfo } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { messageOf } from '../../errors.js';
import type { SubnetConfig } from '../../site/config.js';
import { classifyClient, describeClient } from './client.js';
import { type Decision, type IgnoreReason, decide } from './decide.js';
import { DhcpError } from './errors.js';
import type { DhcpDirectory, DhcpFacts } from './facts.js';
import { HeldAddresses } from './held-addresses.js';
import { BROADCAST, UNSPECIFIED } from './ipv4.js';
import { DEFAULT_LOADERS, type LoaderTable } from './loaders.js';
import { readMachineUuid } from './options.js';
import { BOOTREQUEST, type DhcpPacket, decodeDhcp, encodeDhcp } from './packet.js';
import { Repeats } from '../repeats.js';
import { CLIENT_PORT, SERVER_PORT, maxReplySize } from './reply.js';
import { type DhcpMode, type InterfaceAddresses, servedSubnets } from './served-subnets.js';
import { type Arrival, type DhcpSockets, openDhcpSockets } from './sockets.js';

/** Messages whose node is being looked up at one time; those above are dropped, and their clients ask again. */
const MAX_PENDING = 256;

const ETHERNET = 1;
const MAC_BYTES = 6;

/** Something that happened between the DHCP server and a client. Repetitions of `ignored` within a minute are left out. */
export interface DhcpEvent {
  readonly at: number; // milliseconds since the epoch
  readonly kind: 'offer' | 'ack' | 'nak' | 'declined' | 'released' | 'ignored';
  readonly reason: IgnoreReason | null; // of `ignored`
  readonly mac: string;
  readonly node: string | null;
  readonly address: string | null; // given out, declined or released
  readonly client: string; // `iPXE, UEFI x64`
  readonly bootFile: string | null; // a loader's name, or a URL
  readonly detail: string; // one line
}

export interface DhcpServerOptions {
  /** Which interfaces are answered; nothing ever leaves by another one. */
  readonly interfaces: Readonly<Record<string, DhcpMode>>;
  readonly subnets: readonly SubnetConfig[];
  readonly directory: DhcpDirectory;
  /** Loaders that take the place of the usual ones. */
  readonly loaders?: LoaderTable | undefined;
  /** Who serves the loaders by TFTP; undefined: nobody. */
  readonly tftpServer: DhcpFacts['tftpServer'];
  /** Where nodes reach HTTP, without a final slash. */
  readonly httpUrl: string;
  readonly log: Logger;
  readonly onEvent?: (event: DhcpEvent) => void;
  readonly now?: () => number;
  readonly machine?: InterfaceAddresses;
}

export interface DhcpServer {
  /** What is answered: each interface with our address on it. Empty when every interface is off. */
  readonly answering: readonly { readonly interface: string; readonly server: string }[];
  close(): Promise<void>;
}

/** Starts answering on the interfaces that are turned on. Throws PxeError, or DhcpError BAD_ADDRESS, when it cannot. */
export async function startDhcpServer(options: DhcpServerOptions): Promise<DhcpServer> {
  const subnets = servedSubnets(options.interfaces, options.subnets, options.machine ?? networkInterfaces());
  if (subnets.length === 0) return { answering: [], close: async () => undefined };
  const desk = new Desk(options, subnets);
  const sockets = await openDhcpSockets({
    servers: subnets.map(({ server }) => server),
    port: SERVER_PORT,
    onMessage: (bytes, remote, arrival) => void desk.receive(sockets, bytes, remote, arrival),
    onError: (error) => options.log.warn({ service: 'dhcp' }, `socket: ${messageOf(error)}`),
  });
  const answering = subnets.map((subnet) => ({ interface: subnet.interface, server: subnet.server }));
  for (const place of answering) {
    options.log.info(
      { service: 'dhcp', ...place },
      `DHCP answers known nodes on ${place.interface} as ${place.server}`,
    );
  }
  return { answering, close: () => sockets.close() };
}

/** Takes messages in, has them decided, and sends what was decided. */
class Desk {
  readonly #options: DhcpServerOptions;
  readonly #facts: Omit<DhcpFacts, 'node' | 'heldUntil'>;
  readonly #now: () => number;
  readonly #held = new HeldAddresses();
  readonly #repeats = new Repeats();
  #pending = 0;

  constructor(options: DhcpServerOptions, subnets: DhcpFacts['subnets']) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#facts = {
      subnets,
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
      await this.#answer(sockets, decodeDhcp(bytes), arrival);
    } catch (error) {
      const text = messageOf(error);
      if (error instanceof DhcpError)
        this.#warn(`${remote.address} ${error.code}`, `${remote.address}: ${text}`);
      else this.#warn(text, `a message from ${remote.address} could not be answered: ${text}`);
    } finally {
      this.#pending -= 1;
    }
  }

  async #answer(sockets: DhcpSockets, packet: DhcpPacket, arrival: Arrival): Promise<void> {
    const mac = macOf(packet);
    if (mac === undefined || packet.op !== BOOTREQUEST) return;
    const node = await this.#options.directory.find({ mac, uuid: readMachineUuid(packet) });
    const now = this.#now();
    const facts: DhcpFacts = {
      ...this.#facts,
      subnets: this.#subnetsFor(arrival),
      node,
      heldUntil: node?.ip == null ? undefined : this.#held.heldUntil(node.ip, now),
    };
    const decision = decide(packet, facts, now);
    if (decision.kind === 'reply') {
      const { address, port } = reachable(decision.to);
      await sockets.send(
        encodeDhcp(decision.packet, maxReplySize(packet)),
        decision.from.server,
        address,
        port,
      );
    }
    if (decision.kind === 'decline') this.#held.hold(decision.address, decision.until);
    this.#report(decision, packet, mac, node?.name ?? null, now);
  }

  #subnetsFor(arrival: Arrival): DhcpFacts['subnets'] {
    const { subnets } = this.#facts;
    if (arrival.kind === 'broadcast') return subnets;
    const interfaces = subnets
      .filter(({ server }) => server === arrival.server)
      .map((subnet) => subnet.interface);
    return subnets.filter((subnet) => interfaces.includes(subnet.interface));
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

function eventOf(
  decision: Decision,
  packet: DhcpPacket,
  mac: string,
  node: string | null,
  at: number,
): DhcpEvent {
  const base = { at, mac, node, client: describeClient(classifyClient(packet)), detail: decision.detail };
  switch (decision.kind) {
    case 'reply':
      return {
        ...base,
        kind: decision.type,
        reason: null,
        address: decision.address,
        bootFile: decision.bootFile,
      };
    case 'decline':
      return { ...base, kind: 'declined', reason: null, address: decision.address, bootFile: null };
    case 'release':
      return { ...base, kind: 'released', reason: null, address: decision.address, bootFile: null };
    case 'ignore':
      return { ...base, kind: 'ignored', reason: decision.reason, address: null, bootFile: null };
  }
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
