import type { AddressState } from '../../store/records.js';
import type { Decision } from './decide.js';
import type { KnownNode } from './facts.js';
import { UNSPECIFIED, isInNetwork } from './ipv4.js';
import { OPTION, readAddress, readMessageType } from './options.js';
import type { DhcpPacket } from './packet.js';
import { readRelay } from './relay.js';
import { type Subnet, isOnLink, isRelayOf, subnetOf } from './subnets.js';

/** How long an address that was offered waits for its client's REQUEST, in milliseconds. */
export const OFFER_MS = 60_000;

/** A node with the address it has, or would have, in `subnets`. */
export interface Seat {
  readonly node: KnownNode;
  readonly subnets: readonly Subnet[];
}

/**
 * Finds addresses for nodes without a reservation, in the pools of the subnets they may be in. A broadcast does not say
 * which wire it is from: then the node is seated in each subnet that we are on the wire of, gets an offer on each, and
 * hears its own.
 */
export class Pools {
  readonly #addresses: AddressState;

  constructor(addresses: AddressState) {
    this.#addresses = addresses;
  }

  /** Where `node` sits for the answer to `packet`; nowhere when no pool is meant or all are full. */
  async seatsFor(
    packet: DhcpPacket,
    mac: string,
    node: KnownNode,
    subnets: readonly Subnet[],
    now: number,
  ): Promise<readonly Seat[]> {
    const type = readMessageType(packet);
    const isRequest = type === 'request';
    const asksForOne = type === 'discover' || isRequest;
    const wanted =
      readAddress(packet, OPTION.requestedAddress) ?? (isRequest ? known(packet.ciaddr) : undefined);
    const seats: Seat[] = [];
    for (const subnet of pooledSubnets(packet, subnets)) {
      const lease = asksForOne
        ? await this.#addresses.claim({
            mac,
            node: node.name,
            ranges: subnet.pools,
            wanted: wanted ?? null,
            now,
            until: now + OFFER_MS,
          })
        : (await this.#addresses.ofMac(mac, now)).find(({ address }) => isInNetwork(subnet.network, address));
      if (lease !== undefined) seats.push({ node: { ...node, ip: lease.address }, subnets: [subnet] });
    }
    return seats;
  }

  /** Makes `decision` last before it is sent; false when the address has gone to somebody else meanwhile. */
  async settle(decision: Decision, mac: string, { subnets }: Seat, now: number): Promise<boolean> {
    const lease = (subnets[0]?.lease ?? 0) * 1000;
    switch (decision.kind) {
      case 'reply':
        if (decision.type !== 'ack' || decision.address === null) return true;
        return this.#addresses.bind(decision.address, mac, now + lease);
      case 'release':
        await this.#addresses.release(decision.address, mac, now);
        return true;
      case 'decline':
        await this.#addresses.decline(decision.address, mac, now + lease);
        return true;
      case 'ignore':
        return true;
    }
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
