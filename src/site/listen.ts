/** Where a server listens: an IPv4 or IPv6 address, and a port, of which 0 means any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `address:port`, the address an IPv4 one or an IPv6 one in brackets; a link-local one names its interface (`fe80::1%eth0`). */
export const listenPattern = /^(?:(?:\d{1,3}\.){3}\d{1,3}|\[[0-9A-Fa-f:.]+(?:%[\w.-]{1,15})?\]):\d{1,5}$/;

/** `text` ("127.0.0.1:8080", "[::1]:69") taken apart. Throws RangeError on anything that is not address:port. */
export function parseListen(text: string): ListenAddress {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (!listenPattern.test(text) || port > 65535) {
    throw new RangeError(`'${text}' is not address:port, such as 127.0.0.1:8080 or [::1]:8080`);
  }
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port };
}

/** Which ports are sent from: any, those of a range (both ends in it), or the one that is listened on. */
export type SendPorts =
  | { readonly kind: 'any' }
  | { readonly kind: 'range'; readonly first: number; readonly last: number }
  | { readonly kind: 'single' };

/** `any`, `single` or a range ("50000-50999") taken apart. Throws RangeError on anything else. */
export function parsePorts(text: string): SendPorts {
  if (text === 'any' || text === 'single') return { kind: text };
  const [, from = '', to = ''] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || first < 1 || last > 65535 || first > last) {
    throw new RangeError(`'${text}' is not any, single or a range of ports such as 50000-50999`);
  }
  return { kind: 'range', first, last };
}
