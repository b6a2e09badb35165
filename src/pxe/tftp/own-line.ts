import type { Socket } from 'node:dgram';
import { performance } from 'node:perf_hooks';
import { codeOf } from '../../errors.js';
import { AnswerTrial } from './answer-trial.js';
import { DirectSocket } from './direct-socket.js';
import type { Line, LineListener } from './lines.js';
import type { PollTime } from './poll-time.js';
import { closeSocket } from './socket.js';

/** How long an answer is polled for, in milliseconds: what waking up, and a wire with a client at once, may take. */
const POLL = 0.3;

/** Awaited, what reads the file goes on first, in the same turn of the event loop. */
const OTHERS = Promise.resolve();

/** What a line shares with the others of its server. */
export interface Company {
  readonly pollTime: PollTime;
  /** Whether there is no other line: with several, one's packets come while another's are answered. */
  isAlone(): boolean;
  onClose(): void;
}

/** A transfer's own socket, connected to its client. */
export class OwnLine implements Line {
  readonly #socket: Socket;
  readonly #company: Company;
  readonly #trial = new AnswerTrial();
  #direct: DirectSocket | undefined;
  #listener: LineListener | undefined;
  #isAnswerDue = false; // not while the file is waited for
  #isPolling = false;

  constructor(socket: Socket, company: Company) {
    this.#socket = socket;
    this.#company = company;
  }

  listen(listener: LineListener): void {
    const { address, port } = this.#socket.remoteAddress();
    this.#listener = listener;
    this.#direct = DirectSocket.of(this.#socket, (error) => this.#failed(error));
    this.#socket.removeAllListeners('error');
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.on('message', (bytes, remote) => {
      // Before it was connected the socket took datagrams from anybody.
      if (remote.port !== port || remote.address !== address) return;
      this.#hear(bytes);
      void this.#poll();
    });
  }

  send(bytes: Buffer): void {
    this.#sent();
    if (this.#direct?.send(bytes) === true) return;
    try {
      this.#socket.send(bytes);
    } catch {
      // Closed, or the kernel has disconnected it: a lost datagram like any other.
    }
  }

  sendRun(bytes: Buffer, size: number): void {
    this.#sent();
    let at = bytes.length > size ? (this.#direct?.sendRun(bytes, size) ?? 0) : 0;
    for (; at < bytes.length; at += size) this.send(bytes.subarray(at, at + size));
  }

  async close(): Promise<void> {
    this.#direct = undefined;
    await closeSocket(this.#socket);
    this.#company.onClose();
  }

  #sent(): void {
    if (this.#isAnswerDue) return;
    this.#isAnswerDue = true;
    if (!this.#isPolling) queueMicrotask(() => void this.#poll());
  }

  #hear(bytes: Buffer): void {
    this.#isAnswerDue = false;
    this.#trial.answered(performance.now());
    this.#listener?.onPacket(bytes);
  }

  #failed(error: Error): void {
    const code = codeOf(error) ?? '';
    // What was not sent is lost like any other datagram: it is sent again in time.
    if (code !== 'ENOBUFS' && this.#direct?.stopsCutting(code) !== true) this.#listener?.onError(error);
  }

  /** Takes answers as they come, for as long as that pays and others can wait; meanwhile the file is read on. */
  async #poll(): Promise<void> {
    const { pollTime } = this.#company;
    if (this.#isPolling || !this.#mayPoll()) return;
    const turnEnds = pollTime.begin();
    if (turnEnds === undefined) return;
    this.#isPolling = true;
    for (let until = performance.now() + POLL; this.#mayPoll();) {
      const bytes = this.#direct?.receive();
      const now = performance.now();
      if (bytes !== undefined) {
        this.#hear(bytes);
        until = now + POLL;
      } else if (now >= until) break;
      if (now >= turnEnds) {
        setImmediate(() => void this.#poll());
        break;
      }
      await OTHERS;
    }
    this.#isPolling = false;
    pollTime.end();
  }

  #mayPoll(): boolean {
    return (
      this.#isAnswerDue &&
      this.#direct !== undefined &&
      this.#trial.wait === 'poll' &&
      this.#company.isAlone()
    );
  }
}
