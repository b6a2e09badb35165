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

const ZERO = '0'.charCodeAt(0);
const DOT = '.'.charCodeAt(0) - ZERO;

/** A dotted IPv4 address as an unsigned 32-bit number. Throws DhcpError BAD_ADDRESS. */
export function ipv4ToNumber(text: string): number {
  let [value, part, digits, dots] = [0, 0, 0, 0];
  for (let at = 0; at <= text.length; at += 1) {
    const digit = at < text.length ? text.charCodeAt(at) - ZERO : DOT;
    if (digit >= 0 && digit <= 9) {
      part = part * 10 + digit;
      digits += 1;
    } else {
      if (digit !== DOT || digits === 0 || digits > 3 || part > 255 || dots === 4) throw noAddress(text);
      value = value * 256 + part;
      [part, digits] = [0, 0];
      dots += 1;
    }
  }
  if (dots !== 4) throw noAddress(text);
  return value;
}

function noAddress(text: string): DhcpError {
  return new DhcpError('BAD_ADDRESS', `${text}: not an IPv4 address; write it as 10.77.0.1.`);
}

/** An unsigned 32-bit number as a dotted IPv4 address. */
export function numberToIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
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
