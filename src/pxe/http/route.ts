import type { IncomingMessage, ServerResponse } from 'node:http';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT';

/** A request that has found its route. */
export interface RouteRequest {
  readonly method: Method;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly params: Readonly<Record<string, string>>; // of the path
  readonly query: URLSearchParams;
  readonly client: string; // address, IPv4 as dotted even when it came in mapped to IPv6
  readonly isLocal: boolean; // from this machine itself, and not through a proxy
}

export interface QueryParameter {
  readonly name: string;
  readonly description: string;
}

/** One URL we answer: what the dispatcher routes by and what /api/openapi.json is written from. */
export interface Route {
  readonly methods: readonly Method[];
  /** `/nodes/{node}/boot.ipxe`; a last `{name...}` takes all that follows, `{name}.iso` what ends so. */
  readonly path: string;
  readonly summary: string;
  readonly query?: readonly QueryParameter[];
  readonly body?: { readonly contentType: string; readonly description: string };
  readonly produces: string; // content type of a 200
  /** Every status it answers with on purpose, and when. */
  readonly responses: Readonly<Record<number, string>>;
  handle(request: RouteRequest): Promise<void>;
}

export type RouteMatch =
  | { readonly kind: 'found'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'wrong-method'; readonly allowed: readonly Method[] }
  | { readonly kind: 'none' };

/** The route of `routes` for `method` and `segments`; the first that fits. */
export function matchRoute(
  routes: readonly Route[],
  method: string,
  segments: readonly string[],
): RouteMatch {
  const allowed = new Set<Method>();
  for (const route of routes) {
    const params = matchPath(route.path, segments);
    if (params === undefined) continue;
    if (route.methods.some((candidate) => candidate === method)) return { kind: 'found', route, params };
    for (const candidate of route.methods) allowed.add(candidate);
  }
  return allowed.size === 0 ? { kind: 'none' } : { kind: 'wrong-method', allowed: [...allowed] };
}

function matchPath(path: string, segments: readonly string[]): Record<string, string> | undefined {
  const pattern = path.split('/').filter((piece) => piece !== '');
  const params: Record<string, string> = {};
  for (const [at, piece] of pattern.entries()) {
    const segment = segments[at];
    if (segment === undefined) return undefined;
    const [, name, rest, ending = ''] = /^\{(\w+)(\.\.\.)?\}(\.\w+)?$/.exec(piece) ?? [];
    if (name === undefined) {
      if (piece !== segment) return undefined;
    } else if (rest !== undefined) {
      params[name] = segments.slice(at).join('/');
      return params;
    } else {
      if (segment.length <= ending.length || !segment.endsWith(ending)) return undefined;
      params[name] = segment.slice(0, segment.length - ending.length);
    }
  }
  return segments.length === pattern.length ? params : undefined;
}

/** Answers with a whole text; HEAD gets the same header and no body. */
export function sendText(request: RouteRequest, contentType: string, text: string, status = 200): void {
  const body = Buffer.from(text);
  request.res.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  });
  request.res.end(request.method === 'HEAD' ? undefined : body);
}

/** Answers with JSON. */
export function sendJson(request: RouteRequest, value: unknown, status = 200): void {
  sendText(request, 'application/json', `${JSON.stringify(value)}\n`, status);
}
