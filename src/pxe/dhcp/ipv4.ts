import { DhcpError } from './errors.js';

/** The address that stands for "none" in a DHCP header. */
export const UNSPECIFIED = '0.0.0.0';

/** The limited broadcast address. */
export const BROADCAST = '255.255.255.255';

/** A network in CIDR form, taken apart: its first address and its mask, as unsigned 32-bit numbers. */
export interface Network {
  readonly base: number;
  readonly mask: number;
}

/** A dotted IPv4 address as an unsigned 32-bit number. Throws DhcpError BAD_ADDRESS. */
export function ipv4ToNumber(text: string): number {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const parts = match?.slice(1).map(Number) ?? [];
  if (parts.length !== 4 || parts.some((part) => part > 255)) {
    throw new DhcpError('BAD_ADDRESS', `${text}: not an IPv4 address; write it as 10.77.0.1.`);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** An unsigned 32-bit number as a dotted IPv4 address. */
export function numberToIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
}

/** `10.77.0.0/24` taken apart; host bits are cleared. Throws DhcpError BAD_ADDRESS. */
export function parseNetwork(text: string): Network {
  const [, address = '', length = ''] = /^([^/]*)\/(\d{1,2})$/.exec(text) ?? [];
  const prefix = length === '' ? -1 : Number(length);
  if (prefix < 0 || prefix > 32) {
    throw new DhcpError('BAD_ADDRESS', `${text}: not a network; write it as 10.77.0.0/24.`);
  }
  const mask = prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
  return { base: (ipv4ToNumber(address) & mask) >>> 0, mask };
}

/** Whether `network` holds `address`. */
export function isInNetwork(network: Network, address: string): boolean {
  return (ipv4ToNumber(address) & network.mask) >>> 0 === network.base;
}

/** The last address of `network`: its directed broadcast address. */
export function broadcastOf(network: Network): string {
  return numberToIpv4((network.base | ~network.mask) >>> 0);
}
