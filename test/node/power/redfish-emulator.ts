import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { runProgram } from '../../product/commands.js';
import { problem, RedfishMachine, type MachineOptions } from './redfish-machine.js';

/** How a BMC behaves, where it is not the plainest one: sessions, ETags, one system, everything at once. */
export interface EmulatorOptions extends MachineOptions {
  readonly sessions?: boolean; // false: basic authentication only
  readonly taskPolls?: number; // actions are tasks that are done after so many questions
  readonly taskFailure?: string; // what the task says that it failed with
  readonly busy?: number; // so many requests are answered 503 first
  readonly crossings?: number; // so many changes are crossed by somebody else's: 412
  readonly strongTags?: boolean; // hands out weak ETags and takes strong ones only
  readonly silent?: boolean; // takes connections and never answers
  /** What becomes of the machine: for a test with a machine of its own. Called before the answer. */
  readonly onReset?: (resetType: string) => void | Promise<void>;
  readonly onInsert?: (url: string) => void | Promise<void>;
}

/** A BMC on loopback that speaks Redfish over TLS as DSP0266 says it. */
export interface RedfishEmulator {
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly ca: string; // the file of its certificate, which signs itself
  readonly fingerprint: string; // SHA-256 of it
  readonly log: readonly string[]; // `POST /redfish/v1/…`, in order
  readonly machine: RedfishMachine;
  /** Sessions that were not logged out of. */
  openSessions(): number;
  stop(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

const USERNAME = 'operator';
const PASSWORD = 'bmc-pass-5526';
const SESSIONS = '/redfish/v1/SessionService/Sessions';

/** Starts one, with its files in `dir`, which is there. */
export async function startRedfish(dir: string, options: EmulatorOptions = {}): Promise<RedfishEmulator> {
  const tag = randomBytes(4).toString('hex');
  const [keyFile, certFile] = [join(dir, `${tag}.key`), join(dir, `${tag}.pem`)];
  await runProgram(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-subj', `/CN=bmc-${tag}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '3'],
      ...['-keyout', keyFile, '-out', certFile],
    ],
    'openssl',
  );
  const [key, cert] = await Promise.all([readFile(keyFile), readFile(certFile)]);
  const service = new Service(options);
  const server = https.createServer({ key, cert }, (request, response) => {
    if (options.silent === true) return;
    service.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    username: USERNAME,
    password: PASSWORD,
    ca: certFile,
    fingerprint: new X509Certificate(cert).fingerprint256,
    log: service.log,
    machine: service.machine,
    openSessions: () => service.sessions.size,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

class Service {
  readonly log: string[] = [];
  readonly sessions = new Map<string, string>(); // token → path
  readonly machine: RedfishMachine;
  readonly #tasks = new Map<string, { polls: number; readonly result: Reply }>();
  #busy: number;
  #crossings: number;

  constructor(private readonly options: EmulatorOptions) {
    this.machine = new RedfishMachine(options);
    this.#busy = options.busy ?? 0;
    this.#crossings = options.crossings ?? 0;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { status, body, headers } = await this.#reply(request, Buffer.concat(chunks).toString('utf8'));
    this.log.push(`${request.method ?? ''} ${request.url ?? ''} ${status}`);
    const bytes = body === undefined ? '' : JSON.stringify(body);
    response.writeHead(status, {
      'odata-version': '4.0',
      ...(bytes === ''
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) }),
      ...headers,
    });
    response.end(bytes);
  }

  async #reply(request: IncomingMessage, text: string): Promise<Reply> {
    const { method = '', url: path = '' } = request;
    if (path === '/redfish/v1') return { status: 308, headers: { location: '/redfish/v1/' } };
    if (path === '/redfish/v1/')
      return method === 'GET' ? { status: 200, body: this.#root() } : notAllowed('GET');
    if (this.#busy > 0) {
      this.#busy--;
      return {
        ...problem(503, 'ServiceTemporarilyUnavailable', 'Starting up.'),
        headers: { 'retry-after': '0' },
      };
    }
    if (
      method !== 'GET' &&
      method !== 'DELETE' &&
      !/^application\/json/.test(request.headers['content-type'] ?? '')
    )
      return problem(415, 'UnsupportedMediaType', 'Send application/json.');
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    if (path === SESSIONS && method === 'POST') return this.#logIn(body);
    if (!this.#isKnown(request)) {
      return {
        ...problem(401, 'NoValidSession', `No valid session for ${PASSWORD}.`),
        headers: { 'www-authenticate': 'Basic realm="bmc"' },
      };
    }
    if (method === 'DELETE') return this.#logOut(path);
    const task = this.#tasks.get(path);
    if (task !== undefined) return this.#taskReply(path, task);
    return this.#asTask(path, method, await this.#act(request, path, method, body));
  }

  #root(): object {
    const sessions =
      this.options.sessions === false ? {} : { Links: { Sessions: { '@odata.id': SESSIONS } } };
    return {
      '@odata.id': '/redfish/v1/',
      '@odata.type': '#ServiceRoot.v1_11_0.ServiceRoot',
      Id: 'RootService',
      RedfishVersion: '1.13.0',
      Systems: { '@odata.id': '/redfish/v1/Systems' },
      ...sessions,
    };
  }

  #logIn({ UserName, Password }: Record<string, unknown>): Reply {
    if (this.options.sessions === false) return problem(405, 'OperationNotAllowed', 'No sessions.');
    if (UserName !== USERNAME || Password !== PASSWORD) {
      return problem(401, 'ResourceAtUriUnauthorized', `Wrong password: ${String(Password)}.`);
    }
    const token = randomBytes(16).toString('hex');
    const path = `${SESSIONS}/${this.sessions.size + 1}`;
    this.sessions.set(token, path);
    const headers = { 'x-auth-token': token, location: `https://bmc.example${path}` };
    return { status: 201, headers, body: { '@odata.id': path } };
  }

  #logOut(path: string): Reply {
    const found = [...this.sessions].find(([, each]) => each === path);
    if (found === undefined) return problem(404, 'ResourceMissingAtURI', 'No such session.');
    this.sessions.delete(found[0]);
    return { status: 204 };
  }

  #isKnown({ headers }: IncomingMessage): boolean {
    const token = headers['x-auth-token'];
    if (typeof token === 'string') return this.sessions.has(token);
    const basic = Buffer.from(`${USERNAME}:${PASSWORD}`).toString('base64');
    return headers.authorization === `Basic ${basic}`;
  }

  async #act(
    request: IncomingMessage,
    path: string,
    method: string,
    body: Record<string, unknown>,
  ): Promise<Reply> {
    const resource = this.machine.resource(path);
    if (method === 'GET' && resource !== undefined) {
      return { status: 200, body: resource.body, headers: { etag: resource.etag } };
    }
    if (method === 'PATCH' && resource !== undefined) {
      if (this.#crossings > 0) {
        this.#crossings--;
        this.machine.touch();
      }
      const condition = request.headers['if-match'];
      if (condition === undefined) return problem(428, 'PreconditionRequired', 'Send If-Match.');
      const etag = this.machine.resource(path)?.etag;
      if (condition !== (this.options.strongTags === true ? etag?.replace('W/', '') : etag))
        return problem(412, 'PreconditionFailed', 'It was changed.');
      return this.machine.patch(path, body) ?? notAllowed('GET');
    }
    if (method === 'POST') {
      const done = this.machine.act(path, body);
      if (done === undefined) return resource === undefined ? missing(path) : notAllowed('GET');
      if (done.status < 300 && typeof body['ResetType'] === 'string')
        await this.options.onReset?.(body['ResetType']);
      if (done.status < 300 && typeof body['Image'] === 'string')
        await this.options.onInsert?.(body['Image']);
      return done;
    }
    return missing(path);
  }

  /** What an action answers where actions are tasks. */
  #asTask(path: string, method: string, result: Reply): Reply {
    const { taskPolls = 0 } = this.options;
    if (method !== 'POST' || taskPolls === 0 || result.status >= 300) return result;
    const monitor = `/redfish/v1/TaskService/TaskMonitors/${this.#tasks.size + 1}`;
    this.#tasks.set(monitor, { polls: taskPolls, result });
    return {
      status: 202,
      headers: { location: monitor, 'retry-after': '0' },
      body: { '@odata.id': '/redfish/v1/TaskService/Tasks/1', TaskState: 'Running', about: path },
    };
  }

  #taskReply(monitor: string, task: { polls: number; readonly result: Reply }): Reply {
    if (task.polls-- > 1) return { status: 202, headers: { location: monitor, 'retry-after': '0' } };
    this.#tasks.delete(monitor);
    const { taskFailure } = this.options;
    if (taskFailure === undefined) return task.result;
    const body = { TaskState: 'Exception', TaskStatus: 'Critical', Messages: [{ Message: taskFailure }] };
    return { status: 200, body };
  }
}

const missing = (path: string): Reply => problem(404, 'ResourceMissingAtURI', `Nothing at ${path}.`);

const notAllowed = (allow: string): Reply => ({
  ...problem(405, 'OperationNotAllowed', 'Not here.'),
  headers: { allow },
});
