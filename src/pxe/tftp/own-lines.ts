import type { Socket } from 'node:dgram';
import { codeOf } from '../../errors.js';
import type { TftpClient } from './files.js';
import type { Line, LineListener, Lines } from './lines.js';
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
  #next = 0; // from the first port of the range

  constructor(host: string, range: PortRange | undefined) {
    this.#host = host;
    this.#range = range;
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
    return new OwnLine(bound.socket, () => this.#taken.delete(bound.port));
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

class OwnLine implements Line {
  readonly #socket: Socket;
  readonly #onClose: () => void;

  constructor(socket: Socket, onClose: () => void) {
    this.#socket = socket;
    this.#onClose = onClose;
  }

  listen(listener: LineListener): void {
    const { address, port } = this.#socket.remoteAddress();
    this.#socket.removeAllListeners('error');
    this.#socket.on('error', (error) => {
      if (codeOf(error) !== 'ENOBUFS') listener.onError(error);
    });
    this.#socket.on('message', (bytes, remote) => {
      // Before it was connected the socket took datagrams from anybody.
      if (remote.port === port && remote.address === address) listener.onPacket(bytes);
    });
  }

  send(bytes: Buffer): void {
    try {
      this.#socket.send(bytes);
    } catch {
      // Closed, or the kernel has disconnected it: a lost datagram like any other.
    }
  }

  async close(): Promise<void> {
    await closeSocket(this.#socket);
    this.#onClose();
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
