import type { Logger } from 'pino';
import { messageOf } from '../../errors.js';
import type { AddressState } from '../../store/records.js';
import type { DHCP_LIMITS } from '../../site/limits-config.js';
import type { BootFacts } from './boot-options.js';
import { type Decision, decide } from './decide.js';
import { type ProxyArrival, decideProxy } from './decide-proxy.js';
import { DhcpError } from './errors.js';
import type { DhcpEvent } from './event.js';
import type { DhcpDirectory, DhcpFacts, KnownNode } from './facts.js';
import { HeldAddresses } from './held-addresses.js';
import { BROADCAST, UNSPECIFIED } from './ipv4.js';
import type { Journal } from './journal.js';
import { OPTION, readAddress, readMachineUuid, readMessageType } from './options.js';
import { BOOTREQUEST, type DhcpPacket, decodeDhcp, encodeDhcp } from './packet.js';
import type { Places } from './places.js';
import { Pools, type Seat, isForPools } from './pools.js';
import { type Probe, Probes } from './probes.js';
import { readRelay } from './relay.js';
import { CLIENT_PORT, PROXY_PORT, SERVER_PORT, maxReplySize } from './reply.js';
import type { Arrival, DhcpSockets, Mail, Sender } from './sockets.js';
import { isOnLink, isRelayOf, subnetOf } from './subnets.js';

const ETHERNET = 1;
const MAC_BYTES = 6;

/** Each byte in hexadecimal. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Addresses of a message that are looked at before the message is dropped: its client asks again. */
const MOST_LOOKS = 8;

export interface DeskOptions {
  readonly places: Places;
  readonly directory: DhcpDirectory;
  readonly boot: BootFacts;
  /** ROMs that take a boot file from a proxy only out of a menu: MAC addresses or their first octets, lower case. */
  readonly menus: readonly string[];
  /** Where addresses out of pools are kept; without it there are no pools. */
  readonly addresses: AddressState | undefined;
  /** Looks for other machines at addresses of pools before they are given out; without it nobody does. */
  readonly probe: Probe | undefined;
  readonly log: Logger;
  readonly journal: Journal; // what happened goes there
  readonly now: () => number;
  /** Told what happened, in order. */
  readonly onEvents: (events: readonly DhcpEvent[]) => void;
  readonly limits: DhcpLimits;
}

/** What answering costs at most: `dhcp.limits`, in seconds where it is a time. */
export type DhcpLimits = { readonly [Name in keyof typeof DHCP_LIMITS]: number };

/** A datagram as it came. */
export interface Letter {
  readonly bytes: Buffer;
  readonly remote: Sender;
  readonly arrival: Arrival;
  readonly looks: number; // addresses that were looked at for it
}

/** A request that can be answered. */
interface Question {
  readonly letter: Letter;
  readonly packet: DhcpPacket;
  readonly mac: string;
  readonly node: KnownNode | undefined;
  readonly subnets: DhcpFacts['subnets']; // of ours, that it may be from
}

/** A request, and what was decided about it. */
interface Answer {
  readonly question: Question;
  readonly decisions: readonly Decision[];
}

/** Takes messages in, has them decided, and sends what was decided. */
export class Desk {
  readonly #options: DeskOptions;
  readonly #held = new HeldAddresses();
  readonly #pools: Pools | undefined;
  readonly #probes: Probes | undefined;
  readonly #journal: Journal;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#journal = options.journal;
    const { offer, addressesPerNode, probes, probesWaiting } = options.limits;
    const offerMs = offer * 1000;
    this.#pools = options.addresses && new Pools(options.addresses, { offerMs, addressesPerNode });
    this.#probes =
      options.probe &&
      new Probes(options.probe, { atOnce: probes, waiting: probesWaiting, freshMs: offerMs });
  }

  /**
   * Answers `letters` in their order. Those whose addresses have to be looked at first go to `later` when they have been.
   * Resolves when all are decided; what is acknowledged leaves when it is durable, and all have `left` then. Never throws
   * or rejects, nor does that, whatever they hold: what cannot be answered is logged.
   */
  async answer(
    letters: readonly Letter[],
    send: DhcpSockets['send'],
    later: (letter: Letter) => void,
  ): Promise<{ readonly left: Promise<void> }> {
    const now = this.#options.now();
    try {
      const questions = await this.#questionsIn(letters, now);
      const { seated, durable } = await this.#askPools(questions, now, later);
      const ready: Answer[] = [];
      const promised: Answer[] = [];
      for (const question of questions) {
        const here = seated.get(question);
        if (here === 'later') continue;
        const isSeated = here !== undefined && here.length > 0;
        const decisions = [
          ...(isSeated ? here : this.#decideHere(question, now)),
          ...this.#decideAsProxy(question),
        ];
        (isSeated && decisions.some(isAcknowledgement) ? promised : ready).push({ question, decisions });
      }
      this.#carryOut(ready, now, send);
      if (promised.length === 0) return { left: Promise.resolve() };
      const left = durable
        .then(() => this.#carryOut(promised, now, send))
        .catch((error: unknown) => this.#giveUp(promised.length, error));
      return { left };
    } catch (error) {
      this.#giveUp(letters.length, error);
      return { left: Promise.resolve() };
    }
  }

  #giveUp(count: number, error: unknown): void {
    const text = messageOf(error);
    this.#journal.warn(text, `${count} messages could not be answered, their clients ask again: ${text}`);
  }

  /** The questions in `letters`, with the nodes they are from; what is no question is passed over. */
  async #questionsIn(letters: readonly Letter[], now: number): Promise<readonly Question[]> {
    const read = letters.flatMap((letter) => this.#read(letter) ?? []);
    const queries = read.map(({ packet, mac, port }) => ({ mac, uuid: readMachineUuid(packet), port }));
    const nodes = queries.length === 0 ? [] : await this.#options.directory.find(queries);
    read.forEach(({ packet, mac, port }, index) => {
      if (nodes[index] === undefined) this.#journal.stranger(packet, mac, port, now);
    });
    return read.map(({ port: _, ...question }, index) => ({ ...question, node: nodes[index] }));
  }

  #read(letter: Letter): (Omit<Question, 'node'> & { readonly port: string | undefined }) | undefined {
    try {
      const packet = decodeDhcp(letter.bytes);
      const mac = macOf(packet);
      if (mac === undefined || packet.op !== BOOTREQUEST) return undefined;
      requireSteering(packet);
      const subnets = this.#subnetsFor(letter.arrival);
      return { letter, packet, mac, subnets, port: trustedPort(packet, letter.arrival, subnets) };
    } catch (error) {
      if (!(error instanceof DhcpError)) throw error;
      this.#journal.malformed(letter.remote.address, error);
      return undefined;
    }
  }

  /** What is decided about nodes with addresses out of pools, and when what is acknowledged is durable. */
  async #askPools(
    questions: readonly Question[],
    now: number,
    later: (letter: Letter) => void,
  ): Promise<{
    readonly seated: ReadonlyMap<Question, readonly Decision[] | 'later'>;
    readonly durable: Promise<void>;
  }> {
    const seated = new Map<Question, readonly Decision[] | 'later'>();
    const pools = this.#pools;
    if (pools === undefined) return { seated, durable: Promise.resolve() };
    const mine = questions.flatMap((question) => {
      const { node } = question;
      return node !== undefined && isForPools({ ...question, node }) ? [{ question, node }] : [];
    });
    if (mine.length === 0) return { seated, durable: Promise.resolve() };
    const { answers, durable } = await pools.answer(
      mine.map(({ question: { packet, mac, subnets }, node }) => ({ packet, mac, subnets, node })),
      now,
      (packet, { node, subnet }) => decide(packet, this.#factsFor(node, [subnet]), now),
      ({ address, mac }) => this.#probes === undefined || this.#probes.isFree(address, mac, now),
    );
    answers.forEach((answer, index) => {
      const question = mine[index]?.question;
      if (question === undefined) return;
      seated.set(question, answer.kind === 'untried' ? 'later' : answer.decisions);
      if (answer.kind === 'untried') void this.#lookAt(answer.seats, question, pools, later);
    });
    return { seated, durable };
  }

  /** Looks for other machines at the addresses of `seats`; then the question can be answered. */
  async #lookAt(
    seats: readonly Seat[],
    { letter, packet, mac, node }: Question,
    pools: Pools,
    later: (letter: Letter) => void,
  ): Promise<void> {
    const { log, now, onEvents } = this.#options;
    const probes = this.#probes;
    if (probes === undefined || letter.looks >= MOST_LOOKS || probes.isFull) {
      this.#journal.warn(
        'probes',
        'too many addresses to look at; some messages are dropped, their clients ask again',
      );
      return;
    }
    try {
      for (const seat of seats) {
        const { address, subnet } = seat;
        const target = { address, interface: subnet.interface, isOnLink: isOnLink(subnet) };
        const found = await probes.look(target, mac, now());
        if (found === undefined) continue;
        const until = await pools.quarantine(seat, now());
        const detail = `${found} is at ${address} already; find it (arping ${address}), or take the address out of the pool.`;
        const taken: Decision = { kind: 'decline', node: seat.node.name, address, until, detail };
        onEvents(this.#journal.report([taken], { packet, mac, node: node?.name ?? null }, now()));
      }
      later({ ...letter, looks: letter.looks + 1 });
    } catch (error) {
      log.error({ service: 'dhcp' }, `an address was not given out: ${messageOf(error)}`);
    }
  }

  /** Decides for the authoritative subnets that the message may be from, by reservations. */
  #decideHere({ packet, node, subnets }: Question, now: number): readonly Decision[] {
    if (subnets.length === 0) return [];
    const heldUntil = node?.ip == null ? undefined : this.#held.heldUntil(node.ip, now);
    return [decide(packet, this.#factsFor(node, subnets, heldUntil), now)];
  }

  #factsFor(node: KnownNode | undefined, subnets: DhcpFacts['subnets'], heldUntil?: number): DhcpFacts {
    const { tftpServer, httpUrl, loaders } = this.#options.boot;
    const declinedMs = this.#options.limits.declined * 1000;
    return { subnets, node, heldUntil, tftpServer, httpUrl, loaders, declinedMs };
  }

  /** Decides for each proxy: which wire a broadcast is from is not known, and its client hears only its own. */
  #decideAsProxy({ packet, node, letter: { arrival, remote: sender } }: Question): readonly Decision[] {
    const { boot, menus, places } = this.#options;
    const via: ProxyArrival =
      arrival.kind === 'unicast' && arrival.port === PROXY_PORT
        ? { port: PROXY_PORT, sender }
        : { port: SERVER_PORT };
    return places.proxies
      .filter(({ server }) => arrival.kind === 'broadcast' || arrival.server === server)
      .map(({ server }) => decideProxy(packet, { ...boot, node, server, menus }, via));
  }

  /** Sends `answers`, and tells of them. */
  #carryOut(answers: readonly Answer[], now: number, send: DhcpSockets['send']): void {
    if (answers.length === 0) return;
    const mails: Mail[] = [];
    const events: DhcpEvent[] = [];
    for (const { question, decisions } of answers) {
      const { packet, mac, node } = question;
      for (const decision of decisions) {
        if (decision.kind === 'decline' && node?.ip === decision.address)
          this.#held.hold(decision.address, decision.until);
        const mail = decision.kind === 'reply' ? this.#mailOf(decision, packet) : undefined;
        if (mail !== undefined) mails.push(mail);
      }
      events.push(...this.#journal.report(decisions, { packet, mac, node: node?.name ?? null }, now));
    }
    if (mails.length > 0) send(mails);
    if (events.length > 0) this.#options.onEvents(events);
  }

  #mailOf(reply: Extract<Decision, { kind: 'reply' }>, request: DhcpPacket): Mail | undefined {
    try {
      const bytes = encodeDhcp(reply.packet, maxReplySize(request));
      return { bytes, from: { address: reply.from, port: reply.port }, to: reachable(reply.to) };
    } catch (error) {
      const text = messageOf(error);
      this.#journal.warn(`${reply.node} ${text}`, `${reply.node} could not be answered: ${text}`);
      return undefined;
    }
  }

  #subnetsFor(arrival: Arrival): DhcpFacts['subnets'] {
    const { subnets } = this.#options.places;
    if (arrival.kind === 'broadcast') return subnets;
    const interfaces = subnets
      .filter(({ server }) => server === arrival.server)
      .map((subnet) => subnet.interface);
    return subnets.filter((subnet) => interfaces.includes(subnet.interface));
  }
}

/** Throws DhcpError BAD_OPTION when an option that steers the protocol is malformed: decide reads them again. */
function requireSteering(packet: DhcpPacket): void {
  readMessageType(packet);
  readAddress(packet, OPTION.requestedAddress);
  readAddress(packet, OPTION.serverIdentifier);
}

/** The switch port a relay names, when the relay is one of a subnet's own; a client can write anything. */
function trustedPort(
  packet: DhcpPacket,
  arrival: Arrival,
  subnets: DhcpFacts['subnets'],
): string | undefined {
  const relay = readRelay(packet);
  if (relay === undefined || arrival.kind === 'broadcast') return undefined;
  const subnet = subnetOf(subnets, relay.link);
  return subnet !== undefined && isRelayOf(subnet, relay.address) ? relay.port : undefined;
}

function isAcknowledgement(decision: Decision): boolean {
  return decision.kind === 'reply' && decision.type === 'ack';
}

/** The sender's MAC, lower case and colon-separated; undefined when the hardware is not Ethernet. */
function macOf(packet: DhcpPacket): string | undefined {
  if (packet.htype !== ETHERNET || packet.chaddr.length !== MAC_BYTES) return undefined;
  let mac = '';
  for (const byte of packet.chaddr) mac += `${mac === '' ? '' : ':'}${HEX[byte] ?? ''}`;
  return mac;
}

/** Where a datagram socket can reach `to`: a client without an address only by broadcast (RFC 2131 §4.1). */
function reachable(to: Extract<Decision, { kind: 'reply' }>['to']): { address: string; port: number } {
  if (to.kind === 'unicast-arp' || to.address === UNSPECIFIED)
    return { address: BROADCAST, port: CLIENT_PORT };
  return { address: to.address, port: to.port };
}
