import type { AddressLease, AddressRange } from '../records.js';
import type { DhcpAddressTable, Row } from './tables.js';

/** A row of `dhcp_address`. Addresses are numbers in the database, in their order. */
export type AddressRow = Row<DhcpAddressTable>;

const ZERO = '0'.charCodeAt(0);
const DOT = '.'.charCodeAt(0);

/** A dotted address that was validated before, as the database keeps it. */
export function numberOf(address: string): number {
  let [value, part] = [0, 0];
  for (let at = 0; at < address.length; at += 1) {
    const code = address.charCodeAt(at);
    if (code === DOT) [value, part] = [value * 256 + part, 0];
    else part = part * 10 + code - ZERO;
  }
  return value * 256 + part;
}

/** An address of the database, dotted. */
export function addressText(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** Whether one of `ranges` holds `address`. */
export function isInRanges(ranges: readonly AddressRange[], address: number): boolean {
  return ranges.some(({ first, last }) => numberOf(first) <= address && address <= numberOf(last));
}

/** The lease a row stands for; none for an address that is only passed over. */
export function leaseOf({ address, mac, node, state, expires_at: expiresAt }: AddressRow): AddressLease[] {
  return state === 'reserved' ? [] : [{ address: addressText(address), mac, node, state, expiresAt }];
}
