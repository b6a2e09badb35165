import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import { codeOf, messageOf } from '../../errors.js';
import { PxeError } from '../errors.js';
import { Repeats } from '../repeats.js';
import { TftpError } from './errors.js';
import type { TftpClient, TftpFile, TftpFiles } from './files.js';
import { DEFAULT_LIMITS, type TftpLimits, memoryFor } from './limits.js';
import { type Terms, negotiate } from './negotiate.js';
import { TFTP_ERROR, type TftpPacket, type TftpRequest, decodeTftp, encodeTftp } from './packet.js';
import { normalizePath } from './path.js';
import { Session } from './session.js';
import type { TransferOutcome } from './transfer.js';

const PROGRESS_INTERVAL = 250; // milliseconds

/** Bytes of requests that may wait while the server is busy: a rack that powers on together asks together. */
const REQUEST_BUFFER = 1024 * 1024;

/** What became of a read request. */
export interface TftpTransferEvent {
  readonly client: TftpClient;
  readonly path: string;
  readonly outcome: TransferOutcome | 'not-found' | 'refused';
  readonly detail: string; // one line; empty when there is nothing to say
  readonly bytes: number; // of the file, acknowledged by the client
  readonly size: number | null;
  readonly ms: number;
  readonly blksize: number | null;
  readonly windowsize: number | null;
  readonly resent: number; // blocks
}

/** Where a running transfer is; told about four times a second while it moves. */
export interface TftpProgressEvent {
  readonly client: TftpClient;
  readonly path: string;
  readonly bytes: number;
  readonly size: number;
}

export interface TftpServerOptions {
  readonly host: string; // address to listen on
  readonly port: number; // 0: any free one
  readonly files: TftpFiles;
  readonly log: Logger;
  readonly onTransfer?: (event: TftpTransferEvent) => void;
  readonly onProgress?: (event: TftpProgressEvent) => void;
  readonly limits?: Partial<TftpLimits>;
  readonly now?: () => number; // milliseconds, monotonic
}

export interface TftpServer {
  readonly port: number;
  /** How many transfers run. */
  active(): number;
  /** Aborts what runs and closes every socket and file. */
  close(): Promise<void>;
}

/** Starts a read-only TFTP server. Throws PxeError PORT_IN_USE, NO_RIGHTS or NO_ADDRESS when it cannot listen. */
export async function startTftpServer(options: TftpServerOptions): Promise<TftpServer> {
  const socket = createSocket({ type: isIPv6(options.host) ? 'udp6' : 'udp4' });
  await listen(socket, options.host, options.port);
  const desk = new Desk(options, socket);
  socket.on('error', (error) => options.log.warn({ service: 'tftp' }, `socket: ${messageOf(error)}`));
  socket.on('message', (bytes, remote) => desk.receive(bytes, remote));
  return {
    port: socket.address().port,
    active: () => desk.active,
    close: () => desk.close(),
  };
}

/** A request being served, from its arrival to its end. */
interface Job {
  readonly request: Buffer; // as it came
  readonly client: TftpClient;
  readonly path: string;
  session: Session | undefined; // once the file is open
  stopped: boolean;
  done: Promise<void>;
}

/** Takes requests in and sees each transfer to its end. */
class Desk {
  readonly #options: TftpServerOptions;
  readonly #socket: Socket;
  readonly #limits: TftpLimits;
  readonly #now: () => number;
  readonly #repeats = new Repeats();
  readonly #jobs = new Map<string, Job>(); // by the client's address and port
  readonly #running = new Set<Job>();
  readonly #perAddress = new Map<string, number>();
  #memory = 0;
  #closing = false;

  constructor(options: TftpServerOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#now = options.now ?? (() => performance.now());
  }

  get active(): number {
    return this.#running.size;
  }

  async close(): Promise<void> {
    this.#closing = true;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
    for (const job of this.#running) stop(job, 'the server is closing', 'the server is closing');
    await Promise.all([...this.#running].map((job) => job.done));
  }

  /** Handles one datagram to the server's port. Never throws, whatever it holds. */
  receive(bytes: Buffer, remote: RemoteInfo): void {
    const client = { address: plainAddress(remote.address), port: remote.port };
    let packet: TftpPacket;
    try {
      packet = decodeTftp(bytes);
    } catch (error) {
      if (!isRequest(bytes)) return; // an ERROR is never answered with an ERROR, nor is junk
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
    if (earlier !== undefined) {
      // Asked again because our first packet was slow or lost, which is sent again anyway.
      if (earlier.request.equals(bytes) && earlier.session?.stalled !== true) return;
      stop(earlier, 'the client started another transfer'); // which an ERROR could end instead
    }
    const path = normalizePath(Buffer.from(request.filename, 'latin1'));
    if (path === undefined) {
      this.#reply(remote, TFTP_ERROR.accessViolation, 'not a path below the root');
      this.#report(outcomeEvent(client, printable(request.filename), 'refused', 'not a path below the root'));
      return;
    }
    const ofAddress = this.#perAddress.get(client.address) ?? 0;
    if (this.#running.size >= this.#limits.transfers || ofAddress >= this.#limits.transfersPerClient) {
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
      session: undefined,
      stopped: false,
      done: Promise.resolve(),
    };
    this.#jobs.set(key, job);
    this.#running.add(job);
    this.#perAddress.set(client.address, ofAddress + 1);
    job.done = this.#serve(job, request, remote).finally(() => {
      if (this.#jobs.get(key) === job) this.#jobs.delete(key);
      this.#running.delete(job);
      const left = (this.#perAddress.get(client.address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(client.address);
      else this.#perAddress.set(client.address, left);
    });
  }

  /** Never rejects. */
  async #serve(job: Job, request: TftpRequest, remote: RemoteInfo): Promise<void> {
    const { client, path } = job;
    const startedAt = this.#now();
    let file: TftpFile | undefined;
    try {
      file = await this.#options.files.open(path, client);
    } catch (error) {
      this.#reply(remote, TFTP_ERROR.undefined, 'the file could not be opened');
      this.#report(outcomeEvent(client, path, 'failed', messageOf(error)));
      return;
    }
    if (file === undefined) {
      this.#reply(remote, TFTP_ERROR.notFound, 'no such file');
      this.#report(outcomeEvent(client, path, 'not-found', ''));
      return;
    }
    const terms = negotiate(request, file.size, this.#limits);
    const memory = memoryFor(file.size, terms.blksize, terms.windowsize);
    if (job.stopped || this.#memory + memory > this.#limits.memory) {
      await file.close().catch(() => undefined);
      this.#warn(
        'memory',
        `${client.address}: no memory for another transfer; ${path} waits for the client to ask again`,
      );
      return;
    }
    this.#memory += memory;
    const session = new Session({
      client: { address: remote.address, port: remote.port },
      host: this.#options.host,
      file,
      mode: request.mode,
      terms,
      now: this.#now,
    });
    job.session = session;
    const size = file.size;
    const stopProgress = this.#followProgress(session, client, path, size);
    const result = await session.run();
    stopProgress();
    this.#memory -= memory;
    this.#report({ client, path, size, ms: this.#now() - startedAt, ...pick(terms), ...result });
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
      this.#repeats.isNew(`${event.client.address} ${event.outcome} ${event.path}`, this.#now())
    ) {
      if (event.outcome === 'complete' || event.outcome === 'probe') this.#options.log.info(fields, line);
      else this.#options.log.warn(fields, line);
    }
    this.#options.onTransfer?.(event);
  }

  #warn(kind: string, line: string): void {
    if (this.#repeats.isNew(kind, this.#now())) this.#options.log.warn({ service: 'tftp' }, line);
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

function outcomeEvent(
  client: TftpClient,
  path: string,
  outcome: TftpTransferEvent['outcome'],
  detail: string,
): TftpTransferEvent {
  return {
    client,
    path,
    outcome,
    detail,
    bytes: 0,
    size: null,
    ms: 0,
    blksize: null,
    windowsize: null,
    resent: 0,
  };
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

function listen(socket: Socket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(listenError(error, host, port));
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      socket.setRecvBufferSize(REQUEST_BUFFER); // the kernel gives what net.core.rmem_max allows
      resolve();
    });
  });
}

function listenError(error: Error, host: string, port: number): PxeError {
  const where = `TFTP, ${host} port ${port}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new PxeError(
        'PORT_IN_USE',
        `${where}: another program has it. Find it with \`ss -lunp sport = :${port}\` and stop it, or change tftp.listen.`,
        { cause: error },
      );
    case 'EACCES':
    case 'EPERM':
      return new PxeError(
        'NO_RIGHTS',
        `${where}: no right to use it. Run as root or with CAP_NET_BIND_SERVICE, or change tftp.listen.`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
      return new PxeError(
        'NO_ADDRESS',
        `${where}: this machine does not have the address. Correct tftp.listen.`,
        {
          cause: error,
        },
      );
    default:
      return new PxeError('SOCKET', `${where}: ${messageOf(error)}.`, { cause: error });
  }
}
