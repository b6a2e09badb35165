import type { AddressBook, AddressState } from '../../store/records.js';
import type { Decision } from './decide.js';
import type { KnownNode } from './facts.js';
import { UNSPECIFIED, isInNetwork } from './ipv4.js';
import { type MessageType, OPTION, readAddress, readMessageType } from './options.js';
import type { DhcpPacket } from './packet.js';
import { readRelay } from './relay.js';
import { type Subnet, isOnLink, isRelayOf, subnetOf } from './subnets.js';

/** What pools give out at most. */
export interface PoolLimits {
  readonly offerMs: number; // an address that was offered waits so long for its client's REQUEST
  readonly addressesPerNode: number; // of one pool, where the node is not known by the MAC address that asks
}

/** The messages that pools answer; the others have nothing to do with who has which address. */
const ABOUT_ADDRESSES: ReadonlySet<MessageType | undefined> = new Set([
  'discover',
  'request',
  'decline',
  'release',
]);

/** A message of a node without a reservation. */
export interface PoolQuestion {
  readonly packet: DhcpPacket;
  readonly mac: string;
  readonly node: KnownNode;
  readonly subnets: readonly Subnet[]; // that it may be from
}

/** A node's interface with the address it has, or would have, in `subnet`. */
export interface Seat {
  readonly node: KnownNode;
  readonly mac: string;
  readonly address: string;
  readonly subnet: Subnet;
  readonly isTaken: boolean; // the node took the address up before; else another machine may be there
}

/** What becomes of a question: it is decided, or waits until somebody has looked at the addresses that would be given. */
export type PoolAnswer =
  | { readonly kind: 'decided'; readonly decisions: readonly Decision[] } // none: no pool is meant, or all are full
  | { readonly kind: 'untried'; readonly seats: readonly Seat[] };

/** Whether questions about addresses are for the pools of `subnets`, rather than for the server's reservations. */
export function isForPools({ packet, node, subnets }: Omit<PoolQuestion, 'mac'>): boolean {
  return (
    node.ip === null &&
    subnets.some(({ pools }) => pools.length > 0) &&
    ABOUT_ADDRESSES.has(readMessageType(packet))
  );
}

/**
 * Finds addresses for nodes without a reservation, in the pools of the subnets they may be in. A broadcast does not say
 * which wire it is from: then the node is seated in each subnet that we are on the wire of, gets an offer on each, and
 * hears its own.
 */
export class Pools {
  readonly #addresses: AddressState;
  readonly #limits: PoolLimits;

  constructor(addresses: AddressState, limits: PoolLimits) {
    this.#addresses = addresses;
    this.#limits = limits;
  }

  /**
   * What is answered to each of `questions`, in their order, all in one transaction. What is acknowledged may be said when
   * `durable` resolves. `decide` decides about a node in its seat; no address is given out that is not `isTried`.
   */
  async answer(
    questions: readonly PoolQuestion[],
    now: number,
    decide: (packet: DhcpPacket, seat: Seat) => Decision,
    isTried: (seat: Seat) => boolean,
  ): Promise<{ readonly answers: readonly PoolAnswer[]; readonly durable: Promise<void> }> {
    const macs = questions.map(({ mac }) => mac);
    const settle = async (book: AddressBook): Promise<readonly PoolAnswer[]> => {
      const answers: PoolAnswer[] = [];
      for (const question of questions) {
        const seats = await seatsIn(book, question, this.#limits, now);
        const decided = seats.map((seat) => ({ seat, decision: decide(question.packet, seat) }));
        const untried = decided.filter(
          ({ seat, decision }) => isGiving(decision) && !seat.isTaken && !isTried(seat),
        );
        if (untried.length > 0) {
          answers.push({ kind: 'untried', seats: untried.map(({ seat }) => seat) });
          continue;
        }
        for (const { seat, decision } of decided) writeDown(book, seat, decision, now);
        answers.push({ kind: 'decided', decisions: decided.map(({ decision }) => decision) });
      }
      return answers;
    };
    if (questions.every(({ packet }) => readMessageType(packet) === 'discover')) {
      const answers = await this.#addresses.settle(macs, now, settle, { durable: false });
      return { answers, durable: Promise.resolve() };
    }
    const { value: answers, durable } = await this.#addresses.settleAhead(macs, now, settle);
    return { answers, durable };
  }

  /** Gives the address of `seat` to nobody for the length of a lease: another machine was found there. Gives until when. */
  async quarantine({ address, mac, subnet }: Seat, now: number): Promise<number> {
    const until = now + subnet.lease * 1000;
    await this.#addresses.settle([mac], now, async (book) => book.decline(address, mac, until));
    return until;
  }
}

/** Where a node sits for the answer to a message; nowhere when no pool is meant or all are full. */
async function seatsIn(
  book: AddressBook,
  { packet, mac, node, subnets }: PoolQuestion,
  { offerMs, addressesPerNode }: PoolLimits,
  now: number,
): Promise<readonly Seat[]> {
  const type = readMessageType(packet);
  const asksForOne = type === 'discover' || type === 'request';
  const wanted =
    readAddress(packet, OPTION.requestedAddress) ?? (type === 'request' ? known(packet.ciaddr) : undefined);
  const seats: Seat[] = [];
  for (const subnet of pooledSubnets(packet, subnets)) {
    const lease = asksForOne
      ? await book.claim({
          mac,
          node: node.name,
          ranges: subnet.pools,
          wanted: wanted ?? null,
          until: now + offerMs,
          ...(node.isByMac === false ? { most: addressesPerNode } : {}),
        })
      : book.ofMac(mac).find(({ address }) => isInNetwork(subnet.network, address));
    if (lease === undefined) continue;
    const { address, state } = lease;
    seats.push({ node: { ...node, ip: address }, mac, address, subnet, isTaken: state === 'bound' });
  }
  return seats;
}

function isGiving(decision: Decision): boolean {
  return decision.kind === 'reply' && decision.address !== null;
}

/** Writes down what `decision` does to the address of `seat`. */
function writeDown(book: AddressBook, { mac, subnet }: Seat, decision: Decision, now: number): void {
  const end = now + subnet.lease * 1000;
  switch (decision.kind) {
    case 'reply':
      if (decision.type === 'ack' && decision.address !== null) book.bind(decision.address, mac, end);
      break;
    case 'release':
      book.release(decision.address, mac);
      break;
    case 'decline':
      book.decline(decision.address, mac, end);
      break;
    case 'ignore':
  }
}

/** The subnets with pools that a client may be in: behind its relay, where its address is, of the server it chose, or on our wires. */
function pooledSubnets(packet: DhcpPacket, subnets: readonly Subnet[]): readonly Subnet[] {
  const relay = readRelay(packet);
  const server = readAddress(packet, OPTION.serverIdentifier);
  const place = relay?.link ?? known(packet.ciaddr);
  const near = place === undefined ? subnets.filter(isOnLink) : [subnetOf(subnets, place)];
  return near.filter(
    (subnet): subnet is Subnet =>
      subnet !== undefined &&
      subnet.pools.length > 0 &&
      (server === undefined || server === subnet.server) &&
      (relay === undefined || isRelayOf(subnet, relay.address)),
  );
}

function known(address: string): string | undefined {
  return address === UNSPECIFIED ? undefined : address;
}
