import type { RemoteInfo, Socket } from 'node:dgram';
import { performance } from 'node:perf_hooks';
import { messageOf } from '../../errors.js';
import { RateLimit } from '../rate-limit.js';
import { Repeats } from '../repeats.js';
import { TftpError } from './errors.js';
import { type TftpTransferEvent, requestEvent } from './events.js';
import type { TftpClient, TftpFile } from './files.js';
import { DEFAULT_LIMITS, type TftpLimits, memoryFor } from './limits.js';
import type { Line, Lines } from './lines.js';
import { type Terms, negotiate } from './negotiate.js';
import type { TftpServerOptions } from './options.js';
import { OwnLines } from './own-lines.js';
import { TFTP_ERROR, type TftpPacket, type TftpRequest, decodeTftp, encodeTftp } from './packet.js';
import { normalizePath } from './path.js';
import { type TftpCaps, capLimits, capsFor } from './quirks.js';
import { Session } from './session.js';
import { SharedLines } from './shared-lines.js';
import { closeSocket } from './socket.js';

const PROGRESS_INTERVAL = 250; // milliseconds

/** Milliseconds after which a transfer whose client took nothing yet gives way to another, when there are too many. */
const HALF_OPEN = 1000;

/** A request being served, from its arrival to its end. */
interface Job {
  readonly request: Buffer; // as it came
  readonly client: TftpClient;
  readonly path: string;
  readonly startedAt: number;
  session: Session | undefined; // once the file is open
  stopped: boolean;
  done: Promise<void>;
}

/** Takes requests in and sees each transfer to its end. */
export class Desk {
  readonly #options: TftpServerOptions;
  readonly #socket: Socket;
  readonly #limits: TftpLimits;
  readonly #lines: Lines;
  readonly #shared: SharedLines | undefined;
  readonly #now: () => number;
  readonly #repeats = new Repeats();
  /** Anybody can make up names and senders: so many lines about them are logged at once, and on the average. */
  readonly #madeUp = new RateLimit({ burst: 100, perSecond: 10, keys: 1 });
  readonly #jobs = new Map<string, Job>(); // by the client's address and port
  readonly #running = new Set<Job>(); // oldest first
  readonly #perAddress = new Map<string, number>();
  #memory = 0;
  #closing = false;

  constructor(options: TftpServerOptions, socket: Socket) {
    const ports = options.ports ?? { kind: 'any' };
    this.#options = options;
    this.#socket = socket;
    this.#limits = withDefaults(options.limits ?? {});
    this.#shared = ports.kind === 'single' ? new SharedLines(socket) : undefined;
    this.#lines = this.#shared ?? new OwnLines(options.host, ports.kind === 'range' ? ports : undefined);
    this.#now = options.now ?? (() => performance.now());
  }

  get active(): number {
    return this.#running.size;
  }

  async close(): Promise<void> {
    this.#closing = true;
    const running = [...this.#running];
    for (const job of running) stop(job, 'the server is closing', 'the server is closing');
    await Promise.all(running.map((job) => job.done));
    await closeSocket(this.#socket);
  }

  /** Handles one datagram to the server's port. Never throws, whatever it holds. */
  receive(bytes: Buffer, remote: RemoteInfo): void {
    if (this.#closing) return;
    if (!isRequest(bytes)) {
      this.#shared?.deliver(bytes, remote);
      return;
    }
    const client = { address: plainAddress(remote.address), port: remote.port };
    let packet: TftpPacket;
    try {
      packet = decodeTftp(bytes);
    } catch (error) {
      const text = messageOf(error);
      if (error instanceof TftpError) this.#reply(remote, TFTP_ERROR.illegalOperation, text);
      this.#warn(`${client.address} malformed`, `${client.address}: a malformed request: ${text}`);
      return;
    }
    if (packet.kind === 'wrq') {
      this.#reply(remote, TFTP_ERROR.accessViolation, 'this server is read-only');
      this.#warn(
        `${client.address} write`,
        `${client.address} wanted to write a file; this server is read-only`,
      );
    } else if (packet.kind === 'rrq') {
      this.#begin(packet, Buffer.from(bytes), remote, client);
    }
  }

  #begin(request: TftpRequest, bytes: Buffer, remote: RemoteInfo, client: TftpClient): void {
    const key = `${remote.address} ${remote.port}`;
    const earlier = this.#jobs.get(key);
    if (earlier !== undefined && !hasEnded(earlier)) {
      if (earlier.request.equals(bytes) && earlier.session?.stalled !== true) {
        // Asked again because our first packet was slow or lost, which is sent again anyway; or because the earlier
        // transfer was given up by an ERROR that came before this, to another socket that may be read after it.
        setImmediate(() => {
          if (hasEnded(earlier) && !this.#closing) this.#begin(request, bytes, remote, client);
        });
        return;
      }
      earlier.stopped = true;
      earlier.session?.leave('the client started another transfer');
    }
    const path = normalizePath(Buffer.from(request.filename, 'latin1'));
    if (path === undefined) {
      this.#reply(remote, TFTP_ERROR.accessViolation, 'not a path below the root');
      this.#report(requestEvent(client, printable(request.filename), 'refused', 'not a path below the root'));
      return;
    }
    if (!this.#admits(client)) {
      // Dropped without an answer: the client asks again in a while, where an ERROR would end its boot.
      this.#warn(
        'transfers',
        `${client.address}: too many transfers at once; ${path} waits for the client to ask again`,
      );
      return;
    }
    const job: Job = {
      request: bytes,
      client,
      path,
      startedAt: this.#now(),
      session: undefined,
      stopped: false,
      done: Promise.resolve(),
    };
    this.#jobs.set(key, job);
    this.#running.add(job);
    this.#perAddress.set(client.address, (this.#perAddress.get(client.address) ?? 0) + 1);
    job.done = this.#serve(job, request, remote).finally(() => {
      if (this.#jobs.get(key) === job) this.#jobs.delete(key);
      this.#running.delete(job);
      const left = (this.#perAddress.get(client.address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(client.address);
      else this.#perAddress.set(client.address, left);
    });
  }

  /**
   * Whether one more transfer may start for `client`. At a limit the oldest half-open one gives way, so that a flood of
   * requests whose senders never answer keeps nobody out; those that still let go of their files count up to twice the
   * limit.
   */
  #admits(client: TftpClient): boolean {
    const { transfers, transfersPerClient } = this.#limits;
    const ofAddress = this.#perAddress.get(client.address) ?? 0;
    if (this.#running.size >= 2 * transfers || ofAddress >= 2 * transfersPerClient) return false;
    if (ofAddress >= transfersPerClient) return this.#evict(({ address }) => address === client.address);
    return this.#running.size < transfers || this.#evict(() => true);
  }

  /** Stops the oldest half-open transfer of a client that `fits`; says whether there was one. */
  #evict(fits: (client: TftpClient) => boolean): boolean {
    const oldest = this.#now() - HALF_OPEN;
    for (const job of this.#running) {
      if (job.startedAt > oldest) return false;
      if (job.session?.untouched !== true || hasEnded(job) || !fits(job.client)) continue;
      stop(job, 'the client had taken nothing, and made way for another one');
      return true;
    }
    return false;
  }

  /** Never rejects. */
  async #serve(job: Job, request: TftpRequest, remote: RemoteInfo): Promise<void> {
    const { client, path } = job;
    let file: TftpFile | undefined;
    let limits: TftpLimits;
    let asked = request;
    try {
      const caps = await this.#capsOf(client);
      limits = capLimits(this.#limits, caps);
      if (!caps.options) asked = { ...request, options: new Map() };
      file = await this.#options.files.open(path, client);
    } catch (error) {
      this.#reply(remote, TFTP_ERROR.undefined, 'the file could not be opened');
      this.#report(requestEvent(client, path, 'failed', messageOf(error)));
      return;
    }
    if (file === undefined) {
      this.#reply(remote, TFTP_ERROR.notFound, 'no such file');
      this.#report(requestEvent(client, path, 'not-found', ''));
      return;
    }
    const terms = negotiate(asked, file.size, limits);
    const memory = memoryFor(file.size, terms.blksize, terms.windowsize);
    const line = await this.#openLine(job, remote, memory);
    if (line === undefined) {
      await file.close().catch(() => undefined);
      return;
    }
    this.#memory += memory;
    const { size } = file;
    const session = new Session({ line, file, mode: request.mode, terms, now: this.#now });
    job.session = session;
    const stopProgress = this.#followProgress(session, client, path, size);
    const result = await session.run();
    stopProgress();
    this.#memory -= memory;
    this.#report({ client, path, size, ms: this.#now() - job.startedAt, ...pick(terms), ...result });
  }

  async #capsOf({ address }: TftpClient): Promise<TftpCaps> {
    const { quirks = [], macsOf } = this.#options;
    const byMac = macsOf !== undefined && quirks.some(({ mac }) => mac !== undefined);
    return capsFor(quirks, address, byMac ? await macsOf(address) : []);
  }

  /** A line for `job`, or undefined when it cannot be served now: its client asks again in a while. */
  async #openLine(job: Job, remote: RemoteInfo, memory: number): Promise<Line | undefined> {
    const { client, path } = job;
    let line: Line | undefined;
    let problem = 'no port of tftp.ports is free';
    try {
      if (!job.stopped) line = await this.#lines.open({ address: remote.address, port: remote.port });
    } catch (error) {
      problem = messageOf(error);
    }
    if (line !== undefined && !job.stopped && this.#memory + memory <= this.#limits.memory) return line;
    await line?.close();
    if (job.stopped) return undefined;
    if (line !== undefined) {
      problem = 'no memory for another transfer';
      this.#evict(() => true); // there may be when it asks again
    }
    this.#warn(problem, `${client.address}: ${problem}; ${path} waits for the client to ask again`);
    return undefined;
  }

  #followProgress(session: Session, client: TftpClient, path: string, size: number): () => void {
    const { onProgress } = this.#options;
    if (onProgress === undefined) return () => undefined;
    let told = 0;
    const timer = setInterval(() => {
      const { bytes } = session;
      if (bytes !== told) onProgress({ client, path, bytes, size });
      told = bytes;
    }, PROGRESS_INTERVAL);
    return () => clearInterval(timer);
  }

  #report(event: TftpTransferEvent): void {
    const fields = { service: 'tftp', client: event.client.address, path: event.path, bytes: event.bytes };
    const line = `${event.outcome} ${event.path}${event.detail === '' ? '' : `: ${event.detail}`}`;
    const isOdd = event.outcome === 'refused' || event.outcome === 'not-found';
    if (
      !isOdd ||
      (this.#repeats.isNew(`${event.client.address} ${event.outcome} ${event.path}`, this.#now()) &&
        this.#madeUp.take('', this.#now()))
    ) {
      if (event.outcome === 'complete' || event.outcome === 'probe') this.#options.log.info(fields, line);
      else this.#options.log.warn(fields, line);
    }
    this.#options.onTransfer?.(event);
  }

  #warn(kind: string, line: string): void {
    if (this.#repeats.isNew(kind, this.#now()) && this.#madeUp.take('', this.#now()))
      this.#options.log.warn({ service: 'tftp' }, line);
  }

  #reply(remote: RemoteInfo, code: number, message: string): void {
    const bytes = encodeTftp({ kind: 'error', code, message });
    // An answer that cannot be sent is a lost datagram; and the socket may be closed by now.
    if (!this.#closing) this.#socket.send(bytes, remote.port, remote.address, () => undefined);
  }
}

function stop(job: Job, reason: string, message?: string): void {
  job.stopped = true;
  job.session?.stop(reason, message);
}

function pick(terms: Terms): { readonly blksize: number; readonly windowsize: number } {
  return { blksize: terms.blksize, windowsize: terms.windowsize };
}

/** Whether the transfer of `job` is over, though it may still be letting go of its file. */
function hasEnded(job: Job): boolean {
  return job.stopped || job.session?.ended === true;
}

function withDefaults(limits: NonNullable<TftpServerOptions['limits']>): TftpLimits {
  const given = Object.entries(limits).filter(([, limit]) => limit !== undefined);
  return { ...DEFAULT_LIMITS, ...Object.fromEntries(given) };
}

/** Whether `bytes` say they are a read or write request. */
function isRequest(bytes: Buffer): boolean {
  return bytes.length >= 2 && (bytes.readUInt16BE(0) === 1 || bytes.readUInt16BE(0) === 2);
}

/** An IPv4 address that came through an IPv6 socket, as IPv4. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
