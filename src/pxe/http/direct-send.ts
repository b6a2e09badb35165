import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { windowSize, type FileRun } from '../../store/file-run.js';
import { sendfile } from '../../system/sendfile.js';
import { corkTcp } from '../../system/tcp-cork.js';
import { KernelSend } from './kernel-send.js';
import { descriptorOf } from './socket-descriptor.js';

/** What one connection is sent before everybody else has a turn, in bytes. */
const turnBytes = 2 * windowSize;

/** What Node is given to write when the socket has no room, up to the next multiple of so many bytes of the file. */
const waitBytes = 4096;

/** Bytes that went past Node’s own count, by socket. */
const pastNode = new WeakMap<Socket, number>();

let ofProcess: KernelSend | undefined;

/** sendfile(2) as this process has it; undefined where it cannot be called. */
function kernelSend(): KernelSend | undefined {
  const call = sendfile();
  return call && (ofProcess ??= new KernelSend(call));
}

/** How many bytes were handed to the kernel for `socket`, by Node and past it. */
export function handedBytes(socket: Socket): number {
  return socket.bytesWritten + (pastNode.get(socket) ?? 0);
}

/** The descriptor that may be sent to: that of a connection that has not been ended. */
function writableDescriptor(socket: Socket | null): number | undefined {
  return socket === null || socket.writableEnded ? undefined : descriptorOf(socket);
}

/** Sends runs of files from their descriptors to a connection’s: sendfile(2). */
export interface DirectSender {
  /**
   * Sends `run` as a part of the body of a response whose header has gone out, no faster than the client reads; resolves
   * how many bytes went, fewer when the client did. What cannot be sent directly is read and written, from the byte where
   * that shows. Throws StoreError PACK_DAMAGED when the file ends early.
   */
  send(run: FileRun, onBytes: (bytes: number) => void): Promise<number>;
  /**
   * Has the connection send full packets only, from before the header goes out to behind the body: one that is small slows
   * down all that come after it. Nothing of one that has closed.
   */
  cork(isCorked: boolean): void;
}

/**
 * The sender for `res`, where its connection `socket` can be sent to directly; undefined: write to it. `write` writes
 * bytes to `res` and resolves once the kernel has them, with false when the client has gone.
 */
export function directSender(
  res: ServerResponse,
  socket: Socket,
  write: (bytes: Buffer) => Promise<boolean>,
  kernel = kernelSend(),
): DirectSender | undefined {
  if (kernel === undefined || writableDescriptor(socket) === undefined) return undefined;
  return {
    async send(run, onBytes) {
      const { at, isRefused } = await sendDirectly(kernel, run, res, write, onBytes);
      return isRefused ? sendBuffered(run, at, write, onBytes) : at;
    },
    cork(isCorked) {
      const fd = writableDescriptor(socket);
      if (fd !== undefined) corkTcp(fd, isCorked);
    },
  };
}

/** How many bytes of a run went directly; `isRefused`: the rest of them cannot. */
interface Progress {
  readonly at: number;
  readonly isRefused: boolean;
}

async function sendDirectly(
  kernel: KernelSend,
  run: FileRun,
  res: ServerResponse,
  write: (bytes: Buffer) => Promise<boolean>,
  onBytes: (bytes: number) => void,
): Promise<Progress> {
  const call = run.isCounted ? kernel.callFor(run.fd) : undefined;
  if (call === undefined) return { at: 0, isRefused: true };
  let at = 0;
  let inTurn = 0;
  while (at < run.length) {
    const end = Math.min(at + windowSize, run.length);
    if (!run.isInMemory(at, end)) {
      await run.bringIn(at, end);
      inTurn = 0;
    } else if (inTurn >= turnBytes) {
      await nextTurn();
      inTurn = 0;
    }
    const { socket } = res;
    const fd = writableDescriptor(socket);
    if (socket === null || fd === undefined) return { at, isRefused: false };
    const began = performance.now();
    // What Node has yet to write comes first.
    const sent =
      socket.writableLength > 0 ? -constants.errno.EAGAIN : call(fd, run.fd, run.offset + at, end - at);
    if (sent === 0) throw run.endsEarly(at);
    if (sent > 0) {
      run.wasRead(at, at + sent, performance.now() - began);
      at += sent;
      inTurn += sent;
      pastNode.set(socket, (pastNode.get(socket) ?? 0) + sent);
      if (socket.timeout !== undefined) socket.setTimeout(socket.timeout); // it is not idle
      onBytes(sent);
      if (at === end) continue;
    } else if (sent !== -constants.errno.EAGAIN) {
      // Of the file or of the connection: reading the one and writing to the other tells which.
      kernel.note(-sent, run.fd);
      return { at, isRefused: true };
    }
    // No room. Node tells when there is, by having written a little: nothing else of it waits for a socket to be writable.
    const little = run.bytes(at, Math.min(run.length, at + waitBytes - ((run.offset + at) % waitBytes)));
    if (!(await write(little))) return { at, isRefused: false };
    at += little.length;
    onBytes(little.length);
    inTurn = 0;
  }
  return { at, isRefused: false };
}

/** Sends bytes [start, length) of `run` by way of this process’s memory; resolves how many of all went. */
async function sendBuffered(
  run: FileRun,
  start: number,
  write: (bytes: Buffer) => Promise<boolean>,
  onBytes: (bytes: number) => void,
): Promise<number> {
  let at = start;
  for await (const bytes of run.buffered(start)) {
    if (!(await write(bytes))) break;
    at += bytes.length;
    onBytes(bytes.length);
  }
  return at;
}
