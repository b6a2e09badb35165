import { type Socket, createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { type TftpPacket, decodeTftp, encodeTftp } from '../../../src/pxe/tftp/packet.js';
import type { TftpFile, TftpFiles } from '../../../src/pxe/tftp/files.js';
import {
  type TftpServer,
  type TftpServerOptions,
  type TftpTransferEvent,
  startTftpServer,
} from '../../../src/pxe/tftp/server.js';

export const HOST = '127.0.0.1';

/** Reproducible bytes. */
export function bytesOf(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = size + 1;
  for (let at = 0; at < size; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Files in memory; `unclosed` counts those that were not closed. */
export class MemoryFiles implements TftpFiles {
  readonly #files: ReadonlyMap<string, Buffer>;
  unclosed = 0;
  readonly asked: string[] = [];

  constructor(files: Readonly<Record<string, Buffer>>) {
    this.#files = new Map(Object.entries(files));
  }

  async open(path: string): Promise<TftpFile | undefined> {
    this.asked.push(path);
    const bytes = this.#files.get(path);
    if (bytes === undefined) return undefined;
    this.unclosed += 1;
    return {
      size: bytes.length,
      async *read(start, end) {
        yield bytes.subarray(start, end);
      },
      close: async () => void (this.unclosed -= 1),
    };
  }
}

/** A server on a free port of the loopback, with what it reported. */
export interface Serving {
  readonly server: TftpServer;
  readonly events: TftpTransferEvent[];
  /** The next transfer's end, or one that ended already and was not taken. */
  ended(): Promise<TftpTransferEvent>;
}

export async function serve(files: TftpFiles, options: Partial<TftpServerOptions> = {}): Promise<Serving> {
  const events: TftpTransferEvent[] = [];
  const untaken: TftpTransferEvent[] = [];
  const takers: ((event: TftpTransferEvent) => void)[] = [];
  const server = await startTftpServer({
    host: HOST,
    port: 0,
    files,
    log: pino({ level: 'silent' }),
    onTransfer: (event) => {
      events.push(event);
      const taker = takers.shift();
      if (taker !== undefined) taker(event);
      else if (untaken.length < 10_000) untaken.push(event);
    },
    ...options,
  });
  return {
    server,
    events,
    ended: () => {
      const event = untaken.shift();
      return event === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(event);
    },
  };
}

/** Waits until the server has nothing left to do; whether it has, and let go of every file. */
export async function settled(
  serving: Serving,
  from: { readonly unclosed: number } = { unclosed: 0 },
): Promise<boolean> {
  for (let tries = 0; serving.server.active() > 0 && tries < 1500; tries += 1) await sleep(10);
  return serving.server.active() === 0 && from.unclosed === 0;
}

/** What a packet came with. */
export type Received = TftpPacket & { readonly from: number };

/** A client that sends exactly what it is told to. */
export class RawClient {
  readonly #socket: Socket;
  readonly #received: Received[] = [];
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, remote) => {
      const packet = decodeTftp(bytes);
      this.#received.push({
        ...packet,
        ...('data' in packet ? { data: Buffer.from(packet.data) } : {}),
        from: remote.port,
      });
      this.#wake();
    });
  }

  static async open(): Promise<RawClient> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
    return new RawClient(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(packet: TftpPacket | Buffer, port: number): void {
    this.#socket.send(Buffer.isBuffer(packet) ? packet : encodeTftp(packet), port, HOST);
  }

  request(port: number, filename: string, options: Readonly<Record<string, string>> = {}): void {
    this.send({ kind: 'rrq', filename, mode: 'octet', options: new Map(Object.entries(options)) }, port);
  }

  ack(block: number, port: number): void {
    this.send({ kind: 'ack', block }, port);
  }

  /** The next packet; throws when none comes for ten seconds. */
  async next(): Promise<Received> {
    const packet = await this.within(10_000);
    if (packet === undefined) throw new Error('no packet in ten seconds');
    return packet;
  }

  /** The next packet if one comes within `ms`. */
  async within(ms: number): Promise<Received | undefined> {
    const until = Date.now() + ms;
    while (this.#received.length === 0 && Date.now() < until) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, until - Date.now());
      });
      clearTimeout(timer);
    }
    return this.#received.shift();
  }

  /** Fetches a file, acknowledging every block; what goes unanswered for a second is sent again, up to 20 times. */
  async fetch(port: number, filename: string): Promise<Buffer> {
    const parts: Buffer[] = [];
    let again = (): void => this.request(port, filename);
    again();
    for (let expected = 1, silence = 0; silence < 20;) {
      const packet = await this.within(1000);
      if (packet === undefined) {
        silence += 1;
        again();
        continue;
      }
      if (packet.kind === 'error') throw new Error(packet.message);
      if (packet.kind !== 'data' || packet.block !== (expected & 0xffff)) continue;
      silence = 0;
      parts.push(packet.data);
      expected += 1;
      again = () => this.ack(packet.block, packet.from);
      again();
      if (packet.data.length < 512) return Buffer.concat(parts);
    }
    throw new Error(`${filename}: no answer in 20 seconds`);
  }

  /** Closes the socket, once what was sent last has left it. */
  async close(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}
