import http from 'node:http';
import https from 'node:https';
import { codeOf, messageOf } from '../errors.js';
import { RepoError } from './errors.js';
import { bodyOf } from './web-body.js';

/** What a web server answered. Whoever gets one reads `body` to its end or ends it with `discard`. */
export interface WebAnswer {
  readonly status: number; // 200, 206, 304, 404, 410 or 416
  readonly headers: http.IncomingHttpHeaders;
  readonly url: string; // that answered, after redirects
  readonly body: AsyncIterable<Buffer>;
  discard(): void;
}

/** Fetches over HTTP and HTTPS, on connections that are kept until `close`. */
export interface WebClient {
  /**
   * Asks for a URL, following redirects, and again when the connection breaks or the server is busy. Throws RepoError
   * FETCH_FAILED for any status but those of WebAnswer.
   */
  get(url: string, headers?: Readonly<Record<string, string>>): Promise<WebAnswer>;
  close(): void;
}

const MAX_REDIRECTS = 5;
const ATTEMPTS = 4;
const IDLE = 60_000; // milliseconds without a byte
const ANSWERS = [200, 206, 304, 404, 410, 416];

/** A client with at most `connections` to one server at a time; `wait` (milliseconds) passes between attempts. */
export function webClient(
  connections: number,
  wait: (ms: number) => Promise<void> = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
): WebClient {
  const agents = {
    'http:': new http.Agent({ keepAlive: true, maxSockets: connections }),
    'https:': new https.Agent({ keepAlive: true, maxSockets: connections }),
  };
  const once = (url: URL, headers: Readonly<Record<string, string>>): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { protocol, username, password } = url;
      if (protocol !== 'http:' && protocol !== 'https:')
        return reject(new RepoError('FETCH_FAILED', `${shown(url)}: only http:// and https:// are fetched`));
      const auth =
        username === '' ? {} : { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` };
      const options = { agent: agents[protocol], headers, timeout: IDLE, ...auth };
      const sent = (protocol === 'http:' ? http : https).get(bare(url), options, resolve);
      sent.on('timeout', () => sent.destroy(new Error('nothing came for a minute')));
      sent.on('error', reject);
    });

  const follow = async (start: string, headers: Readonly<Record<string, string>>): Promise<WebAnswer> => {
    let url = new URL(start);
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const answer = await once(url, headers);
      const status = answer.statusCode ?? 0;
      const { location } = answer.headers;
      if (status >= 300 && status < 400 && status !== 304 && location !== undefined) {
        answer.resume();
        const next = new URL(location, bare(url));
        if (url.protocol === 'https:' && next.protocol !== 'https:')
          throw new RepoError(
            'FETCH_FAILED',
            `${shown(url)}: redirects to ${shown(next)}, which is not encrypted`,
          );
        if (next.host === url.host) [next.username, next.password] = [url.username, url.password];
        url = next;
        continue;
      }
      if (!ANSWERS.includes(status)) {
        answer.resume();
        throw new StatusError(shown(url), status);
      }
      return {
        status,
        headers: answer.headers,
        url: url.href,
        body: bodyOf(answer),
        discard: () => void answer.destroy(),
      };
    }
    throw new RepoError('FETCH_FAILED', `${shown(url)}: more than ${MAX_REDIRECTS} redirects`);
  };

  return {
    async get(url, headers = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await follow(url, headers);
        } catch (error) {
          if (error instanceof RepoError && !(error instanceof StatusError && error.isPassing)) throw error;
          if (attempt === ATTEMPTS || codeOf(error) === 'ENOTFOUND') throw fetchError(url, error);
          await wait(250 * 4 ** (attempt - 1));
        }
      }
    },
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** A status that is no answer: FETCH_FAILED. */
export class StatusError extends RepoError {
  readonly status: number;
  readonly isPassing: boolean;

  constructor(url: string, status: number) {
    super(
      'FETCH_FAILED',
      `${url}: the server answers ${String(status)} ${http.STATUS_CODES[status] ?? ''}`.trim(),
    );
    this.status = status;
    this.isPassing = status === 429 || status >= 500;
  }
}

/** The error for a URL that could not be fetched, or broke off. */
export function fetchError(url: string, error: unknown): RepoError {
  if (error instanceof RepoError) return error;
  return new RepoError(
    'FETCH_FAILED',
    `${shown(new URL(url))}: ${codeOf(error) ?? messageOf(error)}; check the address and the way to that server`,
    { cause: error },
  );
}

/** `url` without the credentials in it, for messages. */
function shown(url: URL): string {
  return bare(url).href;
}

function bare(url: URL): URL {
  const copy = new URL(url);
  [copy.username, copy.password] = ['', ''];
  return copy;
}
