// A thread of receivers.ts. It imports nothing but Node's own modules and what does the same, and runs as the file that tsc wrote.
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { readAnswerHead } from './answer-head.js';

/** A file to fetch whole, of which it is known what it is. */
export interface Order {
  readonly target: string; // path and query of its URL
  readonly partial: string; // where it lies until it is complete and checked; nothing does yet
  readonly file: string; // where it lies then
  readonly size: number; // bytes
  readonly sha256: string; // hexadecimal
}

/** The server of a thread's orders: plain HTTP. */
export interface Server {
  readonly host: string; // a name or an address, without brackets
  readonly port: number;
  readonly fields: string; // of every request; each ends in CR LF
}

/**
 * What became of an order: the file is in its place; the server's answer needs a whole HTTP client; none came; the
 * connection broke, and what came of it is in `partial`; it is another file, and gone; or the file system refused `place`.
 */
export type Receipt =
  | { readonly kind: 'placed'; readonly time: number } // seconds
  | { readonly kind: 'declined' }
  | { readonly kind: 'unanswered' }
  | { readonly kind: 'wrong' }
  | { readonly kind: 'broken'; readonly why: string }
  | { readonly kind: 'refused'; readonly place: string; readonly code: string };

const BUFFER = 1 << 20; // bytes of a connection: with less there are more reads and writes, which cost more than caches save
const HEAD = 64 << 10; // bytes at most
const HEAD_END = '\r\n\r\n';
const IDLE = 60_000; // milliseconds without a byte

/** A file that is being received: its bytes are hashed and written as they lie in the connection's buffer. */
class Incoming {
  readonly #order: Order;
  readonly #modified: number | undefined;
  readonly #hash: Hash = createHash('sha256');
  readonly #file: number;
  #missing: number;
  #isOpen = true;

  constructor(order: Order, modified: number | undefined) {
    this.#order = order;
    this.#modified = modified;
    this.#missing = order.size;
    this.#file = openSync(order.partial, 'w');
  }

  /** Takes what came; whether that is all. */
  take(bytes: Uint8Array): boolean {
    this.#hash.update(bytes);
    for (let done = 0; done < bytes.length;) done += writeSync(this.#file, bytes, done);
    this.#missing -= bytes.length;
    return this.#missing <= 0;
  }

  /** Puts the file in its place, when it is the one that was ordered. */
  place(): Receipt {
    const { partial, file, sha256 } = this.#order;
    const isMeant = this.#missing === 0 && this.#hash.digest('hex') === sha256;
    if (isMeant && this.#modified !== undefined) futimesSync(this.#file, this.#modified, this.#modified);
    const time = Math.floor(fstatSync(this.#file).mtimeMs / 1000);
    this.close();
    if (!isMeant) {
      rmSync(partial, { force: true });
      return { kind: 'wrong' };
    }
    mkdirSync(path.dirname(file), { recursive: true });
    renameSync(partial, file);
    return { kind: 'placed', time };
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
  }
}

/** What a connection does: it waits for the head of an answer, receives its body, or has nothing to do. */
type Work =
  | {
      readonly kind: 'asked';
      readonly order: Order;
      readonly done: (receipt: Receipt) => void;
      readonly head: string;
    }
  | {
      readonly kind: 'receiving';
      readonly order: Order;
      readonly done: (receipt: Receipt) => void;
      readonly incoming: Incoming;
      readonly isKept: boolean;
    }
  | { readonly kind: 'idle' };

/** A connection to the server, which takes one order after the other. `onIdle` tells that it is ready for the next. */
class Connection {
  readonly #socket: Socket;
  readonly #fields: string;
  readonly #onIdle: (connection: Connection) => void;
  #work: Work = { kind: 'idle' };

  constructor({ host, port, fields }: Server, onIdle: (connection: Connection) => void) {
    this.#fields = fields;
    this.#onIdle = onIdle;
    const buffer = Buffer.allocUnsafeSlow(BUFFER);
    const callback = (count: number): boolean => {
      this.#read(buffer.subarray(0, count));
      return true;
    };
    this.#socket = connect({ host, port, noDelay: true, onread: { buffer, callback } });
    this.#socket.setTimeout(IDLE, () => this.#break('nothing came for a minute'));
    this.#socket.on('error', (error) => this.#break(error.message));
    this.#socket.on('close', () => this.#break('the connection broke'));
  }

  get isUsable(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded;
  }

  ask(order: Order, done: (receipt: Receipt) => void): void {
    this.#work = { kind: 'asked', order, done, head: '' };
    this.#socket.write(`GET ${order.target} HTTP/1.1\r\n${this.#fields}\r\n`);
  }

  #read(bytes: Buffer): void {
    if (this.#work.kind === 'asked') this.#readHead(bytes);
    else if (this.#work.kind === 'receiving') this.#readBody(bytes);
    else this.#socket.destroy(); // nobody asked
  }

  #readHead(bytes: Buffer): void {
    if (this.#work.kind !== 'asked') return;
    const { order, done } = this.#work;
    const near = bytes.indexOf(HEAD_END); // of the body, where the head's end lies in two pieces
    const text =
      this.#work.head + bytes.toString('latin1', 0, near < 0 ? bytes.length : near + HEAD_END.length);
    const end = text.indexOf(HEAD_END);
    if (end < 0 && text.length < HEAD) {
      this.#work = { ...this.#work, head: text };
      return;
    }
    const head = end < 0 ? undefined : readAnswerHead(text.slice(0, end));
    if (head?.length !== order.size) {
      this.#end({ kind: 'declined' });
      return;
    }
    const behind = bytes.subarray(end + HEAD_END.length - this.#work.head.length);
    this.#guard(order.partial, () => {
      const incoming = new Incoming(order, head.modified);
      this.#work = { kind: 'receiving', order, done, incoming, isKept: head.isKept };
      this.#readBody(behind);
    });
  }

  #readBody(bytes: Buffer): void {
    if (this.#work.kind !== 'receiving') return;
    const { incoming, order, done, isKept } = this.#work;
    this.#guard(order.partial, () => {
      if (!incoming.take(bytes)) return;
      this.#guard(order.file, () => {
        const receipt = incoming.place();
        this.#work = { kind: 'idle' };
        if (isKept && receipt.kind === 'placed') this.#onIdle(this);
        else this.#socket.destroy();
        done(receipt);
      });
    });
  }

  /** Runs what uses the file system; its refusal ends the order. */
  #guard(place: string, body: () => void): void {
    try {
      body();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      this.#end({ kind: 'refused', place, code });
    }
  }

  #break(why: string): void {
    this.#end(this.#work.kind === 'receiving' ? { kind: 'broken', why } : { kind: 'unanswered' });
  }

  #end(receipt: Receipt): void {
    const work = this.#work;
    this.#work = { kind: 'idle' };
    this.#socket.destroy();
    if (work.kind === 'receiving') work.incoming.close();
    if (work.kind !== 'idle') work.done(receipt);
  }
}

const port = parentPort;
if (port !== null) {
  const server = workerData as Server;
  let idle: Connection[] = [];
  const ready = (connection: Connection): void => void idle.push(connection);
  port.on('message', ({ id, order }: { readonly id: number; readonly order: Order }) => {
    idle = idle.filter(({ isUsable }) => isUsable);
    const connection = idle.pop() ?? new Connection(server, ready);
    connection.ask(order, (receipt) => port.postMessage({ id, receipt }));
  });
}
