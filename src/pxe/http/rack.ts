import { isIPv4 } from 'node:net';
import { inNetwork } from '../../site/config.js';

/**
 * The rack an address belongs to: its network in `dhcp.subnets`, else its /24, or its /64 when it is IPv6.
 */
export function rackOf(client: string, subnets: readonly { readonly network: string }[]): string {
  if (isIPv4(client)) {
    const subnet = subnets.find(({ network }) => inNetwork(network, client));
    return subnet?.network ?? `${client.slice(0, client.lastIndexOf('.'))}.0/24`;
  }
  const [head = '', tail] = client.replace(/%.*$/, '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
