import type { Socket } from 'node:dgram';
import { performance } from 'node:perf_hooks';
import { codeOf } from '../../errors.js';
import { datagramCalls } from '../../system/datagrams.js';
import type { TftpClient } from './files.js';
import type { Line, Lines } from './lines.js';
import { OwnLine } from './own-line.js';
import { PollTime } from './poll-time.js';
import { bindSocket, closeSocket, createUdp } from './socket.js';

/** The first and the last port of a range. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/**
 * A socket of its own for each transfer, connected to its client so that the kernel drops what others send to it and
 * says when the client has closed its port. The ports of a range are taken in turn, so that the one a transfer just
 * left rests the longest; one that another program has is passed over.
 */
export class OwnLines implements Lines {
  readonly #host: string;
  readonly #range: PortRange | undefined;
  readonly #taken = new Set<number>();
  readonly #pollTime = new PollTime(() => performance.now());
  #open = 0;
  #next = 0; // from the first port of the range

  constructor(host: string, range: PortRange | undefined) {
    this.#host = host;
    this.#range = range;
    datagramCalls(); // takes a while to load, which the first client would wait for
  }

  async open(client: TftpClient): Promise<Line | undefined> {
    const bound = await this.#bind();
    if (bound === undefined) return undefined;
    try {
      await connectSocket(bound.socket, client);
    } catch (error) {
      this.#taken.delete(bound.port);
      await closeSocket(bound.socket);
      throw error;
    }
    this.#open += 1;
    return new OwnLine(bound.socket, {
      pollTime: this.#pollTime,
      isAlone: () => this.#open === 1,
      onClose: () => {
        this.#open -= 1;
        this.#taken.delete(bound.port);
      },
    });
  }

  /** A socket on a free port; undefined when the range has none. */
  async #bind(): Promise<{ readonly socket: Socket; readonly port: number } | undefined> {
    if (this.#range === undefined) {
      const socket = createUdp(this.#host);
      await bindSocket(socket, this.#host, 0);
      return { socket, port: 0 };
    }
    const { first, last } = this.#range;
    const count = last - first + 1;
    for (let tries = 0; tries < count; tries += 1) {
      const port = first + (this.#next++ % count);
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      const socket = createUdp(this.#host);
      try {
        await bindSocket(socket, this.#host, port);
        return { socket, port };
      } catch (error) {
        this.#taken.delete(port);
        if (codeOf(error) !== 'EADDRINUSE') throw error;
      }
    }
    return undefined;
  }
}

/** Connects `socket`. Errors that come before somebody listens are those of a client that has gone: its silence tells. */
function connectSocket(socket: Socket, client: TftpClient): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', () => undefined);
    socket.connect(client.port, client.address, (error?: Error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}
