import type { NetworkInterfaceInfo } from 'node:os';
import type { SubnetConfig } from '../../site/config.js';
import { PxeError } from '../errors.js';
import { type Subnet, parseSubnet } from './subnets.js';

/** What the DHCP server does on an interface. An interface that is not named is off. */
export type DhcpMode = 'off' | 'proxy' | 'authoritative';

/** The machine's interfaces with their addresses, as os.networkInterfaces() gives them. */
export type InterfaceAddresses = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** An interface on which we answer as a proxy, from our address `server`. */
export interface ProxyPlace {
  readonly interface: string;
  readonly server: string;
}

/** Where messages are answered. */
export interface Places {
  readonly subnets: readonly Subnet[]; // of the authoritative interfaces
  readonly proxies: readonly ProxyPlace[];
}

/**
 * The places that are answered. An authoritative interface has the subnets whose `server` is one of its addresses; a
 * proxy needs none, and then answers from its first address. Throws PxeError NO_INTERFACE when an interface that is
 * turned on is missing or has no IPv4 address, and NO_SUBNET when an authoritative one has no subnet.
 */
export function placesOf(
  interfaces: Readonly<Record<string, DhcpMode>>,
  configured: readonly SubnetConfig[],
  machine: InterfaceAddresses,
): Places {
  const subnets: Subnet[] = [];
  const proxies: ProxyPlace[] = [];
  for (const [name, mode] of Object.entries(interfaces)) {
    if (mode === 'off') continue;
    const addresses = addressesOf(name, machine);
    const own = configured.filter(({ server }) => addresses.includes(server));
    if (mode === 'authoritative') {
      if (own.length === 0) throw noSubnet(name, addresses);
      subnets.push(...own.map((subnet) => parseSubnet(subnet, name)));
    } else {
      const servers = own.length === 0 ? addresses.slice(0, 1) : new Set(own.map(({ server }) => server));
      proxies.push(...[...servers].map((server) => ({ interface: name, server })));
    }
  }
  return { subnets, proxies };
}

function addressesOf(name: string, machine: InterfaceAddresses): readonly string[] {
  const addresses = (machine[name] ?? [])
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address);
  if (addresses.length > 0) return addresses;
  const present = Object.keys(machine).join(', ');
  throw new PxeError(
    'NO_INTERFACE',
    `dhcp.interfaces.${name}: no such interface with an IPv4 address; this machine has ${present}. ` +
      'Correct the name, or bring the interface up first.',
  );
}

function noSubnet(name: string, addresses: readonly string[]): PxeError {
  return new PxeError(
    'NO_SUBNET',
    `dhcp.interfaces.${name}: no entry of dhcp.subnets has one of its addresses (${addresses.join(', ')}) as ` +
      '"server". Add one, or turn the interface off.',
  );
}
