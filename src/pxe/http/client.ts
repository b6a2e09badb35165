import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/** The address a request came from; an IPv4 one as dotted even when the socket is an IPv6 one. */
export function clientAddress(req: IncomingMessage): string {
  return (req.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
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
