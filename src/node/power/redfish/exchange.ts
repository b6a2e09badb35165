import https from 'node:https';
import { codeOf, messageOf } from '../../../errors.js';
import { PowerError } from '../errors.js';
import { type Endpoint, shownEndpoint } from '../settings.js';

/** One request to a BMC. */
export interface Question {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string; // begins with a slash
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What a BMC answered, whatever the status. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>; // names in lower case
  readonly body: unknown; // parsed JSON, undefined for none
}

/** The largest answer that is read, in bytes. */
const LARGEST = 4 * 1024 * 1024;

/**
 * Sends one request and reads its answer. Throws PowerError UNREACHABLE, TIMED_OUT, BAD_CERTIFICATE or, for what is no
 * Redfish, REFUSED; `wasSent` of an UnansweredError tells whether the BMC may have obeyed.
 */
export function exchange(
  at: Endpoint,
  agent: https.Agent,
  question: Question,
  signal: AbortSignal,
): Promise<Answer> {
  const { method, path, headers, body } = question;
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    let wasSent = false;
    const fail = (error: unknown): void => reject(explained(at, error, wasSent, signal));
    const request = https.request({
      agent,
      ...at,
      method,
      path,
      signal,
      headers: {
        accept: 'application/json',
        'odata-version': '4.0',
        ...headers,
        ...(bytes === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': bytes.length }),
      },
    });
    request.on('error', fail);
    request.once('finish', () => (wasSent = true));
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > LARGEST) request.destroy(new RangeError('more than 4 MiB'));
        else chunks.push(chunk);
      });
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: singleHeaders(response.headers),
          body: parsed(text),
        });
      });
    });
    request.end(bytes);
  });
}

/** A BMC that did not answer a request. */
export class UnansweredError extends PowerError {
  constructor(
    code: 'UNREACHABLE' | 'TIMED_OUT' | 'REFUSED',
    message: string,
    readonly wasSent: boolean,
    options?: { cause?: unknown },
  ) {
    super(code, message, options);
  }
}

function explained(at: Endpoint, error: unknown, wasSent: boolean, signal: AbortSignal): PowerError {
  if (error instanceof PowerError) return error;
  const where = shownEndpoint(at);
  if (signal.aborted)
    return new UnansweredError(
      'TIMED_OUT',
      `${where} did not answer in time; see whether it is reachable, or give it longer with --timeout`,
      wasSent,
    );
  if (error instanceof RangeError)
    return new UnansweredError('REFUSED', `${where} answers ${error.message}; is it a BMC?`, wasSent);
  const reason = codeOf(error) ?? messageOf(error);
  return new UnansweredError(
    'UNREACHABLE',
    `${where} does not answer Redfish (${reason}); check the address, and that HTTPS is turned on there`,
    wasSent,
    { cause: error },
  );
}

function singleHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  );
}

/** The JSON of an answer; undefined for what is none, an error page of a web server say. */
function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}
