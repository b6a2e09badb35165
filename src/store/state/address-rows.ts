import type { AddressLease, AddressRange } from '../records.js';
import type { DhcpAddressTable, Row } from './tables.js';

/** A row of `dhcp_address`. Addresses are numbers in the database, in their order. */
export type AddressRow = Row<DhcpAddressTable>;

/** A dotted address that was validated before, as the database keeps it. */
export function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** An address of the database, dotted. */
export function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** Whether one of `ranges` holds `address`. */
export function isInRanges(ranges: readonly AddressRange[], address: number): boolean {
  return ranges.some(({ first, last }) => numberOf(first) <= address && address <= numberOf(last));
}

/** The lease a row stands for; none for an address that is only passed over. */
export function leaseOf({ address, mac, node, state, expires_at: expiresAt }: AddressRow): AddressLease[] {
  return state === 'reserved' ? [] : [{ address: addressText(address), mac, node, state, expiresAt }];
}
