import https from 'node:https';
import { isIP } from 'node:net';
import tls from 'node:tls';
import { codeOf, messageOf } from '../../../errors.js';
import { PowerError } from '../errors.js';
import { type Endpoint, shownEndpoint } from '../settings.js';

/** Whose certificate is taken for a BMC's own. */
export type Trust =
  | { readonly kind: 'pinned'; readonly fingerprint: string } // SHA-256, upper case, pairs with colons
  | { readonly kind: 'authority'; readonly ca: string | undefined } // PEM; the system's without it
  | { readonly kind: 'any' };

/**
 * An agent of one connection to a BMC, which is given to requests only once its certificate is trusted: no password
 * leaves before. Requests fail with PowerError BAD_CERTIFICATE otherwise.
 */
export class TrustingAgent extends https.Agent {
  constructor(
    private readonly at: Endpoint,
    private readonly trust: Trust,
    private readonly signal: AbortSignal,
  ) {
    super({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
  }

  override createConnection(
    _options: unknown,
    done?: (error: Error | null, socket: tls.TLSSocket) => void,
  ): undefined {
    const { host, port } = this.at;
    const ca = this.trust.kind === 'authority' ? this.trust.ca : undefined;
    // What is not trusted is refused below, where the certificate can be shown.
    const socket = tls.connect({
      host,
      port,
      rejectUnauthorized: false,
      ...(ca === undefined ? {} : { ca }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const abort = (): void => void socket.destroy(new Error('aborted'));
    this.signal.addEventListener('abort', abort, { once: true });
    const settle = (error: Error | null): void => {
      this.signal.removeEventListener('abort', abort);
      socket.removeListener('error', settle);
      if (error !== null) {
        socket.on('error', () => undefined);
        socket.destroy();
      }
      done?.(error, socket);
    };
    socket.once('error', settle);
    socket.once('secureConnect', () => settle(distrust(this.at, this.trust, socket) ?? null));
    return undefined;
  }
}

function distrust(at: Endpoint, trust: Trust, socket: tls.TLSSocket): PowerError | undefined {
  if (trust.kind === 'any') return undefined;
  const shown = socket.getPeerX509Certificate()?.fingerprint256 ?? 'none';
  if (trust.kind === 'pinned') {
    if (shown === trust.fingerprint) return undefined;
    return new PowerError(
      'BAD_CERTIFICATE',
      `${shownEndpoint(at)} shows another certificate than the one in bmcfingerprint: ${shown}; this may be another machine; if it is the BMC's new one, set the attribute anew`,
    );
  }
  if (socket.authorized) return undefined;
  const reason: unknown = socket.authorizationError;
  return new PowerError(
    'BAD_CERTIFICATE',
    `${shownEndpoint(at)} shows a certificate that is not trusted (${codeOf(reason) ?? messageOf(reason)}); name its authority in power.redfish.ca, or, when this is the BMC's own, set bmcfingerprint=${shown}`,
  );
}
