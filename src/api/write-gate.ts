import { timingSafeEqual } from 'node:crypto';
import { HttpError } from '../pxe/http/errors.js';
import type { RouteRequest } from '../pxe/http/route.js';

/** Lets a request that changes something pass, or throws HttpError UNAUTHORIZED or FORBIDDEN. */
export type WriteGate = (request: RouteRequest) => void;

/**
 * The gate that wants `token` (`Authorization: Bearer …`), and wants it where nobody can listen: over HTTPS, or from this
 * machine itself.
 */
export function writeGate(token: string): WriteGate {
  const wanted = Buffer.from(token);
  return (request) => {
    const { req, res } = request;
    if (!request.isLocal && !('encrypted' in req.socket)) {
      throw new HttpError(
        'FORBIDDEN',
        'changes are taken over HTTPS (http.tls) or from this machine itself only; run rackboot nodeset on the server',
      );
    }
    const [, given = ''] = /^Bearer +([!-~]+)$/i.exec(req.headers.authorization ?? '') ?? [];
    const bytes = Buffer.from(given);
    if (bytes.length === wanted.length && timingSafeEqual(bytes, wanted)) return;
    res.setHeader('WWW-Authenticate', 'Bearer realm="rackboot"');
    throw new HttpError(
      'UNAUTHORIZED',
      `${given === '' ? 'no token' : 'a wrong token'}; send what the file api.token of the site holds, as Authorization: Bearer TOKEN`,
    );
  };
}
