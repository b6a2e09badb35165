import type { NetworkInterfaceInfo } from 'node:os';
import type { SubnetConfig } from '../../site/config.js';
import { PxeError } from '../errors.js';
import { type Subnet, parseSubnet } from './subnets.js';

/** What the DHCP server does on an interface. An interface that is not named is off. */
export type DhcpMode = 'off' | 'authoritative';

/** The machine's interfaces with their addresses, as os.networkInterfaces() gives them. */
export type InterfaceAddresses = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/**
 * The subnets that are answered: those whose `server` is an address of an interface that is turned on. Throws PxeError
 * NO_INTERFACE when such an interface is missing, has no IPv4 address, and NO_SUBNET when no subnet belongs to it.
 */
export function servedSubnets(
  interfaces: Readonly<Record<string, DhcpMode>>,
  subnets: readonly SubnetConfig[],
  machine: InterfaceAddresses,
): readonly Subnet[] {
  return Object.entries(interfaces)
    .filter(([, mode]) => mode === 'authoritative')
    .flatMap(([name]) => {
      const addresses = (machine[name] ?? [])
        .filter(({ family }) => family === 'IPv4')
        .map(({ address }) => address);
      if (addresses.length === 0) {
        const present = Object.keys(machine).join(', ');
        throw new PxeError(
          'NO_INTERFACE',
          `dhcp.interfaces.${name}: no such interface with an IPv4 address; this machine has ${present}. ` +
            'Correct the name, or bring the interface up first.',
        );
      }
      const served = subnets.filter(({ server }) => addresses.includes(server));
      if (served.length === 0) {
        throw new PxeError(
          'NO_SUBNET',
          `dhcp.interfaces.${name}: no entry of dhcp.subnets has one of its addresses (${addresses.join(', ')}) as ` +
            '"server". Add one, or turn the interface off.',
        );
      }
      return served.map((subnet) => parseSubnet(subnet, name));
    });
}
