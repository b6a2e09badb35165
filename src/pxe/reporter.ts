import type { NodeRecord } from '../store/records.js';

/**
 * Why a machine with the MAC address `mac` does not speak for `node`, whose address it has; undefined when it does, or when
 * the kernel knows no MAC address of it because a router is between.
 */
export function whyNotByMac(node: NodeRecord, mac: string | undefined): string | undefined {
  if (mac === undefined || node.macs.length === 0 || node.macs.includes(mac)) return undefined;
  return `it is the address of ${node.name}, which has no interface ${mac}; add it with: rackboot node set ${node.name} --mac`;
}
