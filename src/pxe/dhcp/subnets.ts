import { parsePool, type SubnetConfig } from '../../site/config.js';
import type { AddressRange } from '../../store/records.js';
import { type Network, ipv4ToNumber, isInNetwork, parseNetwork } from './ipv4.js';

/** A network whose nodes are answered, and what they are told. */
export interface Subnet {
  readonly interface: string; // the one that has `server` as an address
  readonly network: Network;
  readonly server: string; // our address: the server identifier, and where replies come from
  readonly routers: readonly string[];
  readonly nameServers: readonly string[];
  readonly domain: string | undefined;
  readonly lease: number; // seconds
  readonly pools: readonly AddressRange[]; // for nodes without a reservation
  readonly relays: readonly string[]; // the only ones trusted; empty: any that has an address in the network
}

/** A subnet of the configuration, on the interface that has its server address. Throws DhcpError BAD_ADDRESS. */
export function parseSubnet(config: SubnetConfig, interfaceName: string): Subnet {
  return {
    interface: interfaceName,
    network: parseNetwork(config.network),
    server: config.server,
    routers: config.routers,
    nameServers: config.nameServers,
    domain: config.domain,
    lease: config.lease,
    pools: config.pools.map(parsePool),
    relays: config.relays,
  };
}

/** The subnet that holds `address`, the narrowest when networks nest; undefined when none does. */
export function subnetOf(subnets: readonly Subnet[], address: string): Subnet | undefined {
  const value = ipv4ToNumber(address);
  let best: Subnet | undefined;
  for (const subnet of subnets) {
    const { base, mask } = subnet.network;
    if ((value & mask) >>> 0 !== base) continue;
    if (best === undefined || mask > best.network.mask) best = subnet;
  }
  return best;
}

/** Whether nodes of `subnet` are on the same wire as our interface, rather than behind a relay. */
export function isOnLink(subnet: Subnet): boolean {
  return isInNetwork(subnet.network, subnet.server);
}

/** Whether the relay `address` is believed what it says about nodes of `subnet`. */
export function isRelayOf(subnet: Subnet, address: string): boolean {
  return subnet.relays.length === 0 || subnet.relays.includes(address);
}
