import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * The address a request came from; an IPv4 one as dotted even when the socket is an IPv6 one. Of one of `proxies`, the
 * last address in its X-Forwarded-For, which it wrote itself.
 */
export function clientAddress(req: IncomingMessage, proxies: readonly string[] = []): string {
  const peer = dotted(req.socket.remoteAddress ?? '');
  if (!proxies.includes(peer)) return peer;
  const forwarded = req.headers['x-forwarded-for'];
  const last = dotted((typeof forwarded === 'string' ? forwarded : '').split(',').at(-1)?.trim() ?? '');
  return isIP(last) === 0 ? peer : last;
}

function dotted(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

/**
 * Whether a request comes from this machine itself: over loopback, not passed on by a proxy, and not from a web page
 * that had a name of its own resolve to us (its Host would be that name).
 */
export function isLocalRequest(req: IncomingMessage): boolean {
  const address = clientAddress(req);
  if (address !== '::1' && !address.startsWith('127.')) return false;
  const { headers } = req;
  if (
    headers.forwarded !== undefined ||
    headers['x-forwarded-for'] !== undefined ||
    headers.via !== undefined
  )
    return false;
  const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return host === 'localhost' || isIP(host) !== 0;
}
