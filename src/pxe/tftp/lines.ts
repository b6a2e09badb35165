import type { TftpClient } from './files.js';

/** What comes in on a line. */
export interface LineListener {
  onPacket(bytes: Buffer): void;
  onError(error: Error): void;
}

/** The way of one transfer to its client, and back: nothing of anybody else comes in on it. */
export interface Line {
  /** Called once, before the first `send`. */
  listen(listener: LineListener): void;
  /** Sends one packet. What cannot be sent is a lost datagram. */
  send(bytes: Buffer): void;
  /** Sends packets of `size` bytes each, the last perhaps shorter, that lie behind one another in `bytes`. */
  sendRun(bytes: Buffer, size: number): void;
  close(): Promise<void>;
}

/** Where transfers get their lines. */
export interface Lines {
  /**
   * A line to `client` (the address as the socket wrote it), or undefined when no port is free. Rejects when the client
   * cannot be reached.
   */
  open(client: TftpClient): Promise<Line | undefined>;
}
