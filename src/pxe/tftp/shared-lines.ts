import type { Socket } from 'node:dgram';
import type { TftpClient } from './files.js';
import type { Line, LineListener, Lines } from './lines.js';

/** All transfers on the server's own socket, told apart by the client's address and port. */
export class SharedLines implements Lines {
  readonly #socket: Socket;
  readonly #lines = new Map<string, SharedLine>();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Replaces the line of an earlier transfer to the same address and port, which hears nothing more. */
  async open(client: TftpClient): Promise<Line> {
    const key = keyOf(client);
    const line: SharedLine = new SharedLine(
      (bytes) => this.#socket.send(bytes, client.port, client.address, () => undefined),
      () => {
        if (this.#lines.get(key) === line) this.#lines.delete(key);
      },
    );
    this.#lines.set(key, line);
    return line;
  }

  /** Hands a datagram from `client` to its transfer; what belongs to none is dropped. */
  deliver(bytes: Buffer, client: TftpClient): void {
    this.#lines.get(keyOf(client))?.receive(bytes);
  }
}

class SharedLine implements Line {
  readonly #send: (bytes: Buffer) => void;
  readonly #onClose: () => void;
  #listener: LineListener | undefined;
  #closed = false;

  constructor(send: (bytes: Buffer) => void, onClose: () => void) {
    this.#send = send;
    this.#onClose = onClose;
  }

  listen(listener: LineListener): void {
    this.#listener = listener;
  }

  receive(bytes: Buffer): void {
    if (!this.#closed) this.#listener?.onPacket(bytes);
  }

  send(bytes: Buffer): void {
    if (!this.#closed) this.#send(bytes);
  }

  sendRun(bytes: Buffer, size: number): void {
    for (let at = 0; at < bytes.length; at += size) this.send(bytes.subarray(at, at + size));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#onClose();
  }
}

function keyOf(client: TftpClient): string {
  return `${client.address} ${client.port}`;
}
