import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { codeOf, messageOf } from '../../errors.js';
import { HTTP_LIMITS, limitsOf } from '../../site/limits-config.js';
import type { SiteConfig } from '../../site/config.js';
import { PxeError } from '../errors.js';
import type { Certificate } from './certificate.js';
import { limitConnections } from './connections.js';
import { forgetLostClients } from './lost-clients.js';

/** What the HTTP server spends on its clients, in milliseconds where it is a time. */
interface Limits {
  readonly headerBytes: number;
  readonly headers: number;
  readonly headersTimeout: number; // to send a whole header
  readonly requestTimeout: number; // to send a whole request
  readonly keepAliveTimeout: number; // between two requests
  readonly goneTimeout: number; // after the end, with a client that answers nothing
  readonly idleTimeout: number; // in which a reader takes nothing
  readonly slowTimeout: number; // in which a reader takes what was handed to the network for it
  readonly requestsPerConnection: number;
  readonly connections: number;
  readonly connectionsPerClient: number;
  readonly proxies: readonly string[]; // addresses that connectionsPerClient does not count for
}

/** The limits that `http` of rackboot.yaml comes to. */
export function httpLimitsOf({
  limits,
  proxies = [],
}: Pick<SiteConfig['http'], 'limits' | 'proxies'>): Limits {
  const each = limitsOf(HTTP_LIMITS, limits);
  return {
    headerBytes: each.headerBytes,
    headers: each.headers,
    headersTimeout: each.headerTimeout * 1000,
    requestTimeout: each.requestTimeout * 1000,
    keepAliveTimeout: each.keepAlive * 1000,
    goneTimeout: each.gone * 1000,
    idleTimeout: each.stalled * 1000,
    slowTimeout: each.slow * 1000,
    requestsPerConnection: each.requestsPerConnection,
    connections: each.connections,
    connectionsPerClient: each.connectionsPerClient,
    proxies,
  };
}

/** A listening HTTP server. */
export interface HttpListener {
  readonly address: string;
  readonly port: number;
  /** Stops listening and cuts the connections that are left. */
  close(): Promise<void>;
}

/** A listening HTTPS server. */
export interface HttpsListener extends HttpListener {
  /** Has new connections see `certificate`; those that are open stay. */
  renew(certificate: Certificate): void;
}

type Handle = (req: IncomingMessage, res: ServerResponse) => void;

/** Listens at `host`:`port` (0: any) and has `handle` answer. Throws PxeError PORT_IN_USE, NO_RIGHTS or NO_ADDRESS. */
export async function listenHttp(
  handle: Handle,
  host: string,
  port: number,
  limits: Partial<Limits> = {},
): Promise<HttpListener> {
  return listenOn(createHttpServer(handle, limits), 'listen', host, port);
}

/** The server that listenHttp has listen: `handle` within `limits`. */
export function createHttpServer(handle: Handle, limits: Partial<Limits> = {}): Server {
  const limit = { ...httpLimitsOf({ limits: {} }), ...limits };
  return keepTo(limit, createServer(optionsOf(limit), handle));
}

/** As listenHttp, over TLS 1.2 and 1.3 with the operator's certificate. */
export async function listenHttps(
  handle: Handle,
  host: string,
  port: number,
  { cert, key }: Certificate,
  limits: Partial<Limits> = {},
): Promise<HttpsListener> {
  const limit = { ...httpLimitsOf({ limits: {} }), ...limits };
  const tls = { cert, key, minVersion: 'TLSv1.2', handshakeTimeout: limit.headersTimeout } as const;
  const server = createTlsServer({ ...optionsOf(limit), ...tls }, handle);
  const listener = await listenOn(keepTo(limit, server), 'tls.listen', host, port);
  return {
    ...listener,
    renew: (next) => server.setSecureContext({ ...tls, cert: next.cert, key: next.key }),
  };
}

function optionsOf(limit: Limits) {
  return {
    maxHeaderSize: limit.headerBytes,
    headersTimeout: limit.headersTimeout,
    requestTimeout: limit.requestTimeout,
    keepAliveTimeout: limit.keepAliveTimeout,
    connectionsCheckingInterval: 1000,
    insecureHTTPParser: false,
    noDelay: true,
    // A reader that takes nothing holds the one buffer that was read for it.
    highWaterMark: 16 * 1024,
  } as const;
}

/** Keeps `server` to `limit`, and to requests that are ours; gives it back. */
function keepTo(limit: Limits, server: Server): Server {
  limitConnections(server, {
    connections: limit.connections,
    perClient: limit.connectionsPerClient,
    slowMs: limit.slowTimeout,
    proxies: limit.proxies,
  });
  forgetLostClients(server, limit.goneTimeout);
  server.maxHeadersCount = limit.headers;
  server.maxRequestsPerSocket = limit.requestsPerConnection;
  server.setTimeout(limit.idleTimeout);
  server.on('clientError', refuse);
  // A request to switch protocols or to tunnel is not one we take.
  server.on('upgrade', (_req, socket: Socket) => socket.destroy());
  server.on('connect', (_req, socket: Socket) => socket.destroy());
  return server;
}

async function listenOn(
  server: Server,
  setting: 'listen' | 'tls.listen',
  host: string,
  port: number,
): Promise<HttpListener> {
  await listen(server, setting, host, port);
  const bound = server.address() as AddressInfo;
  return {
    address: bound.address,
    port: bound.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers what the parser refused, when there still is somebody to answer. */
function refuse(error: Error, socket: NodeJS.WritableStream & { destroy(): void; writable: boolean }): void {
  const code = codeOf(error);
  if (!socket.writable || code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

async function listen(server: Server, setting: string, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    throw listenError(cause, setting, host, port);
  });
}

function listenError(cause: unknown, setting: string, host: string, port: number): PxeError {
  const place = `HTTP cannot listen on ${host.includes(':') ? `[${host}]` : host}:${port}`;
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return new PxeError(
        'PORT_IN_USE',
        `${place}: the port is in use; stop what uses it (ss -ltnp), or change http.${setting} in rackboot.yaml`,
        { cause },
      );
    case 'EACCES':
      return new PxeError(
        'NO_RIGHTS',
        `${place}: no rights for that port; run as root, or use a port above 1023 in http.${setting}`,
        { cause },
      );
    case 'EADDRNOTAVAIL':
      return new PxeError(
        'NO_ADDRESS',
        `${place}: this machine does not have that address; change http.${setting} in rackboot.yaml`,
        { cause },
      );
    default:
      return new PxeError('SOCKET', `${place}: ${messageOf(cause)}`, { cause });
  }
}
