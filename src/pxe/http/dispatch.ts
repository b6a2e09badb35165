import type { IncomingMessage, ServerResponse } from 'node:http';
import { Router } from 'express';
import type { Logger } from 'pino';
import { codeOf, messageOf } from '../../errors.js';
import { BusyError } from './admission.js';
import { clientAddress, isLocalRequest } from './client.js';
import { RateLimit } from '../rate-limit.js';
import { HttpError, notFound, statusOf } from './errors.js';
import { MAX_URL, parseRequestPath } from './request-path.js';
import { matchRoute, type Method, type Route } from './route.js';

/** What the dispatcher tells about every request, once it has ended. */
export interface RequestFacts {
  readonly status: number;
  readonly ms: number;
}

/** An express Router that answers `routes` and nothing else, and turns every error into one line and one status. */
export function dispatchRoutes(
  routes: readonly Route[],
  options: {
    readonly log: Logger;
    readonly proxies?: readonly string[] | undefined; // addresses
    readonly onEnd?: (facts: RequestFacts) => void;
  },
): Router {
  const router = Router();
  const told = new RateLimit({ burst: 50, perSecond: 1, keys: 4096 });
  router.use((req, res) => {
    const client = clientAddress(req, options.proxies);
    const began = performance.now();
    res.on('close', () => {
      const ms = Math.round(performance.now() - began);
      options.onEnd?.({ status: res.statusCode, ms });
      const line = { service: 'http', client, status: res.statusCode, ms };
      options.log.debug(line, `${req.method} ${loggable(req.originalUrl)}`);
    });
    return answer(routes, client, req, res).catch((error: unknown) =>
      sendError(error, client, req, res, told.take(client, performance.now()) ? options.log : undefined),
    );
  });
  return router;
}

async function answer(
  routes: readonly Route[],
  client: string,
  req: IncomingMessage & { originalUrl: string },
  res: ServerResponse,
): Promise<void> {
  const target = req.originalUrl;
  if (target.length > MAX_URL)
    throw new HttpError('URL_TOO_LONG', `a URL may have ${MAX_URL} characters at most`);
  const path = parseRequestPath(target);
  if (path === undefined) throw notFound('such path');
  const match = matchRoute(routes, req.method ?? '', path.segments);
  if (match.kind === 'none') throw notFound(`/${path.segments.join('/')}`);
  if (match.kind === 'wrong-method') {
    res.setHeader('Allow', match.allowed.join(', '));
    throw new HttpError('METHOD_NOT_ALLOWED', `this URL takes ${match.allowed.join(' and ')} only`);
  }
  await match.route.handle({
    method: req.method as Method,
    req,
    res,
    params: match.params,
    query: path.query,
    client,
    isLocal: isLocalRequest(req),
  });
}

/** Answers with the error's status and its message on one line; a response already under way is cut off instead. */
function sendError(
  error: unknown,
  client: string,
  req: IncomingMessage,
  res: ServerResponse,
  log: Logger | undefined, // undefined: enough was said about this client
): void {
  const status = statusOf(error);
  const line = { service: 'http', client, status };
  const request = `${req.method ?? ''} ${loggable(req.url ?? '')}`;
  if (status >= 500 && !(error instanceof BusyError))
    log?.error({ ...line, err: error }, `${request}: ${messageOf(error)}`);
  else log?.info(line, `${request}: ${messageOf(error)}`);
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const message = status === 500 ? 'internal error; the server log has the reason' : messageOf(error);
  const isApi = (req.url ?? '').startsWith('/api/');
  const body = isApi
    ? `${JSON.stringify({ error: { code: codeOf(error) ?? 'INTERNAL', message } })}\n`
    : `${message}\n`;
  res.writeHead(status, {
    'Content-Type': isApi ? 'application/json' : 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // What is left of a body nobody wants must not be taken for the next request.
    ...(req.complete ? {} : { Connection: 'close' }),
    ...(status === 429 || status === 503
      ? { 'Retry-After': String(error instanceof BusyError ? error.retryAfter : 5) }
      : {}),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** A request target as it may stand in a log: no query, as tokens travel there, and no control characters. */
function loggable(target: string): string {
  return target
    .replace(/[?#].*$/s, '')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 200);
}
