import { readSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fallocate, type Allocate } from '../system/fallocate.js';
import { beginWriting, type BeginWriting } from '../system/sync-file-range.js';
import type { FileRun } from './file-run.js';
import type { Piece } from './types.js';

/** What the kernel does for it; undefined where it cannot be called. */
export interface KernelCalls {
  readonly allocate: Allocate | undefined;
  readonly begin: BeginWriting | undefined;
}

/** Bytes copied at one time: what a processor’s own cache holds, so that they are copied from memory once. */
const BUFFER = 128 * 1024;
const STEP = 8 * 1024 * 1024; // bytes until the disk is told to begin, and others get a turn
const FLUSH = 64 * 1024 * 1024; // bytes until it is told so where only fdatasync does that

/**
 * Writes `pieces`, of `size` bytes together where that is known, to an empty file until its disk has them; says from time
 * to time how many bytes are done. Copies on this thread, which takes half of what handing each buffer to another one does:
 * for a command, not for a server. Throws what the file system says, and what `pieces` throws.
 */
export async function writePieces(
  file: FileHandle,
  pieces: AsyncIterable<Piece>,
  size: number | undefined,
  onBytes: (done: number) => void,
  { allocate, begin }: KernelCalls = { allocate: fallocate(), begin: beginWriting() },
): Promise<void> {
  if (size !== undefined && size > STEP) await allocate?.(file.fd, size);
  const flushSize = begin === undefined ? FLUSH : STEP;
  let [done, flushed, turned] = [0, 0, 0];
  let flushing = Promise.resolve();
  const write = async (bytes: Buffer): Promise<void> => {
    for (let at = 0; at < bytes.length;) {
      const count = writeSync(file.fd, bytes, at, bytes.length - at, done);
      at += count;
      done += count;
    }
    if (done - turned < STEP) return;
    turned = done;
    onBytes(done);
    if (done - flushed >= flushSize) {
      const [from, length] = [flushed, done - flushed];
      flushed = done;
      flushing = flushing.then(() => begin?.(file.fd, from, length) ?? file.datasync());
      flushing.catch(() => undefined); // awaited below
    }
    await nextTurn();
  };
  let buffer: Buffer | undefined;
  const copy = async (run: FileRun): Promise<void> => {
    buffer ??= Buffer.allocUnsafeSlow(BUFFER);
    for (let at = 0; at < run.length;) {
      const count = readSync(run.fd, buffer, 0, Math.min(BUFFER, run.length - at), run.offset + at);
      if (count === 0) throw run.endsEarly(at);
      await write(buffer.subarray(0, count));
      at += count;
    }
  };
  try {
    for await (const piece of pieces) await (Buffer.isBuffer(piece) ? write(piece) : copy(piece));
  } finally {
    await flushing.catch(() => undefined); // the descriptor is in use until then
  }
  await flushing;
  onBytes(done);
  await file.sync();
}
