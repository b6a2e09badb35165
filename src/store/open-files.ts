import { readSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf } from '../errors.js';
import { BufferPool } from './buffer-pool.js';
import { countsReads, type FileSystemType } from './counted-reads.js';
import { noteDiskReads } from './disk-reads.js';
import { fileError, StoreError } from './errors.js';
import { endsEarly, FileRun, noteRead } from './file-run.js';
import { RecentPages } from './recent-pages.js';
import type { Ownership } from './types.js';

/**
 * The largest buffer a file is read into, and the smallest; what all readers together hold before they get the smallest,
 * and the part of what is left of it that the next one gets.
 */
const largestBuffer = 1024 * 1024;
const smallestBuffer = 16 * 1024;
const budget = 16 * 1024 * 1024;
const part = 1 / 16;
const keptIdle = 128;
const idleMs = 30_000;
/** For how long what was read is taken to be in memory. */
const recentMs = 10_000;

interface Opened {
  readonly handle: FileHandle;
  /** Undefined where what is in memory cannot be known: such a file is read on other threads alone. */
  readonly recent: RecentPages | undefined;
}

interface OpenFile {
  readonly opened: Promise<Opened>;
  users: number;
  idleSince: number;
}

/**
 * Files open for reading, shared by all who read them and kept open for a while afterwards. A read that has begun goes
 * on after the file is unlinked; an unlinked file's space is freed within a minute of its last read.
 */
export class OpenFiles {
  readonly #files = new Map<string, OpenFile>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #pool = new BufferPool(budget);
  readonly #type: FileSystemType | undefined;
  #held = 0;
  #closed = false;

  /** `type`: what tells file systems apart, for tests. */
  constructor(type?: FileSystemType) {
    this.#type = type;
    this.#sweeper = setInterval(() => void this.#closeIdle(idleMs), idleMs / 2);
    this.#sweeper.unref();
  }

  /**
   * Bytes [offset, offset+length) of the file at `path`, in buffers of at most 1 MiB. Each reader holds one until it
   * asks for the next; the more are held, the smaller they get, down to 16 KiB, so that a thousand slow readers hold
   * what a hundred do. Throws StoreError PACK_GONE when there is no such file, PACK_DAMAGED when it ends early, CLOSED
   * after close().
   */
  async *read(
    path: string,
    offset: number,
    length: number,
    ownership: Ownership = 'given',
  ): AsyncGenerator<Buffer> {
    const file = this.#acquire(path);
    try {
      const { handle, recent } = await this.#opened(path, file);
      for (let done = 0; done < length;) {
        const isLent = ownership === 'lent';
        const buffer = isLent
          ? this.#pool.take(this.#share())
          : Buffer.allocUnsafe(Math.min(this.#share(), length - done));
        this.#held += buffer.length;
        try {
          const wanted = Math.min(buffer.length, length - done);
          const bytesRead = isLent
            ? await readLent(handle, recent, buffer, wanted, offset + done)
            : (await handle.read(buffer, 0, wanted, offset + done)).bytesRead;
          if (bytesRead === 0) throw endsEarly(path, length - done);
          done += bytesRead;
          yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
        } finally {
          this.#held -= buffer.length;
          if (isLent) this.#pool.give(buffer);
        }
      }
    } catch (error) {
      throw fileError(error, path);
    } finally {
      this.#release(path, file);
    }
  }

  /** The file at `path` itself, to send bytes [offset, offset+length) of; throws as `read`, and does not read. */
  async *lend(path: string, offset: number, length: number): AsyncGenerator<FileRun> {
    const file = this.#acquire(path);
    try {
      const { handle, recent } = await this.#opened(path, file);
      yield new FileRun(path, handle.fd, recent, offset, length, (at) =>
        this.read(path, offset + at, length - at, 'lent'),
      );
    } catch (error) {
      throw fileError(error, path);
    } finally {
      this.#release(path, file);
    }
  }

  /** Closes every file, those being read as soon as they are not. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    await this.#closeIdle(0);
  }

  /** The size of the next buffer, in bytes: a part of what is left of the budget, a power of two. */
  #share(): number {
    const share = Math.max(smallestBuffer, Math.min(largestBuffer, (budget - this.#held) * part));
    return 2 ** Math.floor(Math.log2(share));
  }

  #acquire(path: string): OpenFile {
    if (this.#closed) throw new StoreError('CLOSED', `${path}: read after the store was closed.`);
    let file = this.#files.get(path);
    if (file === undefined) {
      file = { opened: this.#open(path), users: 0, idleSince: 0 };
      file.opened.catch(() => undefined);
    } else {
      this.#files.delete(path);
    }
    this.#files.set(path, file); // last used, last in the order
    file.users++;
    return file;
  }

  async #open(path: string): Promise<Opened> {
    const handle = await open(path, 'r');
    const recent = (await countsReads(handle.fd, this.#type)) ? new RecentPages(recentMs) : undefined;
    return { handle, recent };
  }

  async #opened(path: string, file: OpenFile): Promise<Opened> {
    try {
      return await file.opened;
    } catch (error) {
      if (this.#files.get(path) === file) this.#files.delete(path);
      if (codeOf(error) === 'ENOENT') {
        throw new StoreError('PACK_GONE', `${path}: is gone; run: rackboot store verify`, { cause: error });
      }
      throw error;
    }
  }

  #release(path: string, file: OpenFile): void {
    file.users--;
    file.idleSince = performance.now();
    if (this.#closed || this.#files.get(path) !== file) {
      if (file.users === 0) void this.#shut(path, file);
    } else if (this.#files.size > keptIdle) {
      const oldest = [...this.#files].find(([, other]) => other.users === 0);
      if (oldest !== undefined) void this.#shut(...oldest);
    }
  }

  async #closeIdle(olderThanMs: number): Promise<void> {
    const now = performance.now();
    const idle = [...this.#files].filter(
      ([, file]) => file.users === 0 && now - file.idleSince >= olderThanMs,
    );
    await Promise.all(idle.map(([path, file]) => this.#shut(path, file)));
  }

  async #shut(path: string, file: OpenFile): Promise<void> {
    if (this.#files.get(path) === file) this.#files.delete(path);
    try {
      await (await file.opened).handle.close();
    } catch {
      // It was never opened, or is closed: either way nothing is left to close.
    }
  }
}

/**
 * Reads `wanted` bytes from `position`. Handing a read to another thread and back costs more than copying what the
 * kernel has in memory: what was read a moment ago is read on this thread, once it has seen to everybody else. When that
 * waited for the disk, the file is read on other threads again.
 */
async function readLent(
  handle: FileHandle,
  recent: RecentPages | undefined,
  buffer: Buffer,
  wanted: number,
  position: number,
): Promise<number> {
  if (recent?.has(position, position + wanted) !== true) {
    const { bytesRead } = await handle.read(buffer, 0, wanted, position);
    noteDiskReads();
    recent?.add(position, position + bytesRead);
    return bytesRead;
  }
  await nextTurn();
  const began = performance.now();
  const bytesRead = readSync(handle.fd, buffer, 0, wanted, position);
  noteRead(recent, position, position + bytesRead, performance.now() - began);
  return bytesRead;
}
