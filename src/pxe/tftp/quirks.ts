import { BlockList, isIPv6 } from 'node:net';
import type { NegotiationLimits } from './negotiate.js';

/** What clients that get some option wrong are served with. A quirk that names neither network nor MAC is for all. */
export interface TftpQuirk {
  readonly network?: string | undefined; // CIDR, IPv4 or IPv6
  readonly mac?: string | undefined; // the MAC address or its first octets, colon-separated
  readonly blksize?: number | undefined; // bytes, at most
  readonly windowsize?: number | undefined; // blocks, at most
  readonly options?: 'ignore' | undefined; // answer as if none had been asked for (RFC 1350 alone)
}

/** The caps for one client: the lowest of every quirk that fits it. */
export interface TftpCaps {
  readonly blksize: number;
  readonly windowsize: number;
  readonly options: boolean; // whether options are answered
}

/** The caps of `quirks` for the client at `address` whose MAC address may be any of `macs`. */
export function capsFor(quirks: readonly TftpQuirk[], address: string, macs: readonly string[]): TftpCaps {
  return quirks
    .filter((quirk) => fitsNetwork(quirk, address) && fitsMac(quirk, macs))
    .reduce<TftpCaps>(
      (caps, quirk) => ({
        blksize: Math.min(caps.blksize, quirk.blksize ?? Infinity),
        windowsize: Math.min(caps.windowsize, quirk.windowsize ?? Infinity),
        options: caps.options && quirk.options !== 'ignore',
      }),
      { blksize: Infinity, windowsize: Infinity, options: true },
    );
}

/** `limits` lowered to `caps`. */
export function capLimits<Limits extends NegotiationLimits>(limits: Limits, caps: TftpCaps): Limits {
  return {
    ...limits,
    blksize: Math.min(limits.blksize, caps.blksize),
    windowsize: Math.min(limits.windowsize, caps.windowsize),
  };
}

function fitsNetwork({ network }: TftpQuirk, address: string): boolean {
  if (network === undefined) return true;
  const [base = '', prefix = ''] = network.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  if (isIPv6(base) !== (family === 'ipv6')) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(prefix), family);
  return list.check(address.replace(/%.*$/, ''), family);
}

function fitsMac({ mac }: TftpQuirk, macs: readonly string[]): boolean {
  return mac === undefined || macs.some((one) => `${one}:`.toLowerCase().startsWith(`${mac}:`.toLowerCase()));
}
