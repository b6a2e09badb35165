import { setTimeout as sleep } from 'node:timers/promises';
import type { Credentials } from '../credentials.js';
import { PowerError } from '../errors.js';
import { type Endpoint, shownEndpoint } from '../settings.js';
import { complaintOf, linkAt, localPath, textAt } from './body.js';
import { TrustingAgent, type Trust } from './certificate.js';
import { type Answer, exchange, type Question, UnansweredError } from './exchange.js';
import { taskFailure, taskIsRunning, taskOf } from './task.js';

/** How a BMC is to be spoken to. */
export interface RedfishOptions {
  readonly auth: 'session' | 'basic';
  readonly trust: Trust;
  readonly retries: number;
}

/** A resource, and the tag that a change of it is conditional on. */
export interface Resource {
  readonly path: string;
  readonly body: unknown;
  readonly etag: string | undefined;
}

/** Where a Redfish service begins (DSP0266 §6.2). */
const ROOT = '/redfish/v1/';

const REDIRECTS = 3;
const CHANGES = 4; // attempts at a change that others change at the same time
const DEFAULT_WAIT = 1; // seconds

/** A BMC's Redfish service: logged in on the first request that needs it, logged out by `close`. */
export class RedfishClient {
  readonly #agent: TrustingAgent;
  #root: unknown;
  #login: Promise<Readonly<Record<string, string>>> | undefined;
  #session: string | undefined;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly credentials: Credentials,
    private readonly options: RedfishOptions,
    private readonly signal: AbortSignal,
  ) {
    this.#agent = new TrustingAgent(endpoint, options.trust, signal);
  }

  /** `host:port`, for messages. */
  get where(): string {
    return shownEndpoint(this.endpoint);
  }

  /** The service root, which is read once and takes no login. Throws PowerError REFUSED where there is no Redfish. */
  async root(): Promise<unknown> {
    if (this.#root === undefined) {
      const { status, body } = await this.#follow(ROOT, {});
      if (status !== 200 || linkAt(body, 'Systems') === undefined)
        throw new PowerError('REFUSED', `${this.where} has no Redfish (${status} at ${ROOT}); try mgt=ipmi`);
      this.#root = body;
    }
    return this.#root;
  }

  async get(path: string): Promise<Resource> {
    const { status, headers, body } = await this.#asUser((login) => this.#follow(path, login));
    if (status !== 200) throw this.#refusal({ status, headers, body }, `GET ${path}`);
    return { path, body, etag: headers['etag'] ?? textAt(body, '@odata.etag') };
  }

  /** Runs an action and waits for what it started. Gives back the answer, whatever its status, for `require`. */
  async post(path: string, body: unknown): Promise<Answer> {
    return this.#finished(
      await this.#asUser((headers) => this.#patient({ method: 'POST', path, headers, body })),
    );
  }

  /** Changes a resource, unless another did so meanwhile: then on what `path` holds now. */
  async patch(path: string, body: unknown): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const { etag } = await this.get(path);
      // Some services hand out weak tags and compare them strongly (RFC 9110 §13.1.1): no weak one ever fits.
      const tag = attempt === CHANGES ? etag?.replace(/^W\//, '') : etag;
      const condition: Record<string, string> = tag === undefined ? {} : { 'if-match': tag };
      const answer = await this.#asUser((login) =>
        this.#patient({ method: 'PATCH', path, headers: { ...login, ...condition }, body }),
      );
      if (answer.status !== 412 || attempt === CHANGES) return this.#finished(answer);
    }
  }

  /** Throws PowerError ACCESS_DENIED or REFUSED unless `answer` says that `what` was done. */
  require(answer: Answer, what: string): void {
    if (answer.status < 200 || answer.status > 299) throw this.#refusal(answer, what);
  }

  async close(): Promise<void> {
    try {
      const headers = await this.#login;
      const path = this.#session;
      if (path !== undefined && headers !== undefined) {
        const question = { method: 'DELETE', path, headers } as const;
        await exchange(this.endpoint, this.#agent, question, AbortSignal.timeout(LOGOUT));
      }
    } catch {
      // A session that is not ended ends by itself.
    } finally {
      this.#agent.destroy();
    }
  }

  /** The answer to a request that is made with the headers of a login; made again when the session has ended. */
  async #asUser(ask: (login: Readonly<Record<string, string>>) => Promise<Answer>): Promise<Answer> {
    this.#login ??= this.#logIn();
    const answer = await ask(await this.#login);
    if (answer.status !== 401 || this.#session === undefined) return answer;
    this.#session = undefined;
    this.#login = this.#logIn();
    return ask(await this.#login);
  }

  async #logIn(): Promise<Readonly<Record<string, string>>> {
    const { username, password } = this.credentials;
    const basic = {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
    };
    const sessions =
      this.options.auth === 'session' ? linkAt(await this.root(), 'Links', 'Sessions') : undefined;
    if (sessions === undefined) return basic;
    const answer = await this.#patient({
      method: 'POST',
      path: sessions,
      headers: {},
      body: { UserName: username, Password: password },
    });
    if ([404, 405, 501].includes(answer.status)) return basic;
    const token = answer.headers['x-auth-token'];
    if (answer.status > 299 || token === undefined) throw this.#refusal(answer, 'a session');
    this.#session = localPath(answer.headers['location']) ?? linkAt(answer.body);
    return { 'x-auth-token': token };
  }

  /** GET with redirects, which stay on the BMC. */
  async #follow(path: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    let at = path;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#patient({ method: 'GET', path: at, headers });
      const next = localPath(answer.headers['location']);
      const isElsewhere = [301, 302, 307, 308].includes(answer.status) && next !== undefined;
      if (!isElsewhere || redirects === REDIRECTS) return answer;
      at = next;
    }
  }

  /** The answer, of a BMC that is busy the one it gives when it no longer is; asked again where it heard nothing. */
  async #patient(question: Question): Promise<Answer> {
    for (let attempt = 0; ;) {
      try {
        const answer = await exchange(this.endpoint, this.#agent, question, this.signal);
        if (answer.status !== 503 && answer.status !== 429) return answer;
        await this.#pause(retryAfter(answer), answer);
      } catch (error) {
        const mayAskAgain =
          error instanceof UnansweredError &&
          error.code === 'UNREACHABLE' &&
          (question.method === 'GET' || !error.wasSent);
        if (!mayAskAgain || attempt === this.options.retries) throw error;
        await this.#pause(0.5 * 2 ** attempt);
        attempt++;
      }
    }
  }

  async #pause(seconds: number, answer?: Answer): Promise<void> {
    try {
      await sleep(seconds * 1000, undefined, { signal: this.signal });
    } catch {
      const said = answer === undefined ? undefined : complaintOf(answer.body);
      const why =
        answer === undefined ? 'did not answer' : `is busy${said === undefined ? '' : ` (${said})`} and was`;
      throw new PowerError('TIMED_OUT', `${this.where} ${why} not ready in time; try again later`);
    }
  }

  /** Follows the task that a 202 starts to its end (DSP0266 §13.3, asynchronous operations). */
  async #finished(first: Answer): Promise<Answer> {
    if (first.status !== 202) return first;
    const monitor = localPath(first.headers['location']) ?? taskOf(first.body);
    if (monitor === undefined) return first;
    for (let answer = first; ;) {
      await this.#pause(retryAfter(answer), answer);
      answer = await this.#asUser((headers) => this.#patient({ method: 'GET', path: monitor, headers }));
      // A monitor is gone once its task has ended and was told of.
      if (answer.status === 404 || answer.status === 410) return { ...answer, status: 204 };
      if (answer.status === 202 || taskIsRunning(answer.body)) continue;
      const failure = taskFailure(answer.body);
      if (failure === undefined) return answer;
      throw new PowerError('REFUSED', `${this.where} could not: ${failure}; look at the BMC's log`);
    }
  }

  #refusal({ status, body }: Answer, what: string): PowerError {
    const said = complaintOf(body);
    const shown = this.#withoutPassword(said === undefined ? '' : `: ${said}`);
    if (status === 401) {
      return new PowerError(
        'ACCESS_DENIED',
        `${this.where} does not let '${this.credentials.username}' in${shown}; check user and password`,
      );
    }
    if (status === 403) {
      return new PowerError(
        'ACCESS_DENIED',
        `${this.where} does not allow '${this.credentials.username}' ${what}${shown}; give that user the rights on the BMC`,
      );
    }
    return new PowerError(
      'REFUSED',
      `${this.where} refuses ${what} (${status})${shown}; look at the BMC itself`,
    );
  }

  #withoutPassword(text: string): string {
    const { password } = this.credentials;
    return password === '' ? text : text.replaceAll(password, '…');
  }
}

/** How long a BMC may take to end a session, in milliseconds. */
const LOGOUT = 5000;

/** The least and the most that is waited for a BMC, in seconds. */
const [LEAST_WAIT, MOST_WAIT] = [0.05, 3600];

/** Seconds that a BMC wants to be left alone (RFC 9110 §10.2.3). */
function retryAfter({ headers }: Answer): number {
  const text = headers['retry-after'] ?? '';
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? DEFAULT_WAIT : Math.min(Math.max(seconds, LEAST_WAIT), MOST_WAIT);
}
