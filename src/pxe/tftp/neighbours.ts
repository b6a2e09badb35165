import { readFile } from 'node:fs/promises';

/** The MAC address of `address` in the text of /proc/net/arp, lower case; undefined when it is not there. */
export function macInTable(table: string, address: string): string | undefined {
  for (const line of table.split('\n')) {
    const [ip, , flags, mac] = line.split(/\s+/);
    // Flag 2, ATF_COM: the entry is complete (if_arp.h).
    if (ip === address && mac !== undefined && (Number(flags) & 2) !== 0) return mac.toLowerCase();
  }
  return undefined;
}

/** The MAC address the kernel knows for an IPv4 client on one of its own networks; undefined for others. */
export async function neighbourMac(address: string): Promise<string | undefined> {
  return macInTable(await readFile('/proc/net/arp', 'latin1').catch(() => ''), address);
}
