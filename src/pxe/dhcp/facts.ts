import type { LoaderTable } from './loaders.js';
import type { Subnet } from './subnets.js';

/**
 * What a node is to do at this boot. `osimage` and `boot` lead to the node's script, which decides; `offline` and
 * `unknown` (a node that was never assigned anything) get an address and no boot file, so that the firmware goes on
 * to its next boot device.
 */
export type BootIntent =
  | { readonly kind: 'osimage' | 'boot'; readonly scriptUrl: string }
  | { readonly kind: 'offline' }
  | { readonly kind: 'unknown' };

/** A node that the directory knows. */
export interface KnownNode {
  readonly name: string;
  readonly ip: string | null; // its reservation
  readonly intent: BootIntent;
  readonly isByMac?: boolean; // false: found by UUID or switch port, which others can claim by any number of MAC addresses
  readonly loader?: string; // the one it is to be given, in place of the table's: loaders.ts
}

/** Who a message is from, as the directory may need it to find the node. */
export interface DhcpQuery {
  readonly mac: string; // lower case, colon-separated
  readonly uuid: string | undefined; // SMBIOS UUID (option 97), lower case
  readonly port: string | undefined; // the switch port, as its relay calls it
}

/** Where the DHCP server finds nodes. Asked once for a group of messages. */
export interface DhcpDirectory {
  /** The node that each of `queries` is from, in their order, or undefined: then it is not answered. */
  find(queries: readonly DhcpQuery[]): Promise<readonly (KnownNode | undefined)[]>;
}

/** Everything the answer to one message depends on besides the message and the time. */
export interface DhcpFacts {
  /** The subnets that may be answered: all of them, or those of the interface the message is known to be from. */
  readonly subnets: readonly Subnet[];
  readonly node: KnownNode | undefined;
  /** Until when (milliseconds since the epoch) the node's address is not given out, because a client declined it. */
  readonly heldUntil: number | undefined;
  /** Who serves the loaders by TFTP: the subnet's server, another address, or nobody. */
  readonly tftpServer: 'subnet' | { readonly address: string } | undefined;
  /** Where nodes reach HTTP, without a final slash. */
  readonly httpUrl: string;
  readonly loaders: LoaderTable;
  readonly declinedMs?: number; // for so long a declined address is not given out; without it DECLINE_HOLD
}
