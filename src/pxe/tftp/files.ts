/** Who asks for a file. */
export interface TftpClient {
  readonly address: string;
  readonly port: number;
}

/** What TFTP serves. */
export interface TftpFiles {
  /** The file at `path` (as normalizePath gives it) for `client`, or undefined when there is none for it. */
  open(path: string, client: TftpClient): Promise<TftpFile | undefined>;
}

/** An open file. Its size does not change. */
export interface TftpFile {
  readonly size: number; // bytes
  /**
   * Bytes [start, end), with 0 ≤ start ≤ end ≤ size. Called once, for the whole. A buffer may be written over once the
   * next one is asked for; it is held until the client has taken most of it.
   */
  read(start: number, end: number): AsyncIterable<Buffer>;
  /** Called exactly once, when the transfer has ended and no read is running. */
  close(): Promise<void>;
}
