import { read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { noteDiskReads, wasDiskRead } from './disk-reads.js';
import { StoreError } from './errors.js';
import type { RecentPages } from './recent-pages.js';

const readAt = promisify(read);

/** How long reading what is in memory may take, in milliseconds, until it is asked whether it was. */
const promptMs = 5;

/** The most bytes brought into memory at once. */
export const windowSize = 1024 * 1024;

/** Where bytes go that are read only for the kernel to have them; nobody looks at them, so all readers share it. */
let waste: Buffer | undefined;

/**
 * `length` bytes of an open file, for who can send them from its descriptor; lent: the file stays open until the next
 * piece is asked for. Positions are from the beginning of the run.
 */
export class FileRun {
  readonly path: string;
  readonly fd: number;
  readonly offset: number; // of the run, in the file
  readonly length: number;
  readonly #recent: RecentPages | undefined;
  readonly #read: (start: number) => AsyncIterable<Buffer>;

  constructor(
    path: string,
    fd: number,
    recent: RecentPages | undefined,
    offset: number,
    length: number,
    read: (start: number) => AsyncIterable<Buffer>,
  ) {
    this.path = path;
    this.fd = fd;
    this.offset = offset;
    this.length = length;
    this.#recent = recent;
    this.#read = read;
  }

  /** Whether it can be known what is in memory: else only `buffered` waits for no disk on this thread. */
  get isCounted(): boolean {
    return this.#recent !== undefined;
  }

  /** Bytes [start, length), read on other threads where that may take long; the buffers are lent. Throws StoreError. */
  buffered(start: number): AsyncIterable<Buffer> {
    return this.#read(start);
  }

  /** Whether bytes [start, end) were read a moment ago: reading them again waits for no disk. */
  isInMemory(start: number, end: number): boolean {
    return this.#recent?.has(this.offset + start, this.offset + end) === true;
  }

  /** Has the kernel read bytes [start, end), of at most `windowSize`, on another thread. Throws StoreError PACK_DAMAGED. */
  async bringIn(start: number, end: number): Promise<void> {
    waste ??= Buffer.allocUnsafeSlow(windowSize);
    for (let at = start; at < end;) {
      const { bytesRead } = await readAt(this.fd, waste, 0, end - at, this.offset + at);
      if (bytesRead === 0) throw this.endsEarly(at);
      at += bytesRead;
    }
    noteDiskReads();
    this.#recent?.add(this.offset + start, this.offset + end);
  }

  /** Notes that bytes [start, end) were read on this thread, in `ms`: as `noteRead`. */
  wasRead(start: number, end: number, ms: number): void {
    noteRead(this.#recent, this.offset + start, this.offset + end, ms);
  }

  /** Bytes [start, end) read on this thread: for few bytes, in memory. Throws StoreError PACK_DAMAGED. */
  bytes(start: number, end: number): Buffer {
    const buffer = Buffer.allocUnsafe(end - start);
    for (let done = 0; done < buffer.length;) {
      const count = readSync(this.fd, buffer, done, buffer.length - done, this.offset + start + done);
      if (count === 0) throw this.endsEarly(start + done);
      done += count;
    }
    return buffer;
  }

  /** The StoreError PACK_DAMAGED of a file that ends `at` bytes into the run. */
  endsEarly(at: number): StoreError {
    return endsEarly(this.path, this.length - at);
  }
}

/**
 * Notes that bytes [start, end), taken to be in memory, were read on this thread, in `ms`. When a disk was waited for, the
 * kernel has dropped some pages, and all are forgotten: they are read on other threads first again.
 */
export function noteRead(recent: RecentPages | undefined, start: number, end: number, ms: number): void {
  if (ms > promptMs && wasDiskRead()) recent?.clear();
  else recent?.add(start, end);
}

/** The StoreError PACK_DAMAGED of a file that ends `missing` bytes before it should. */
export function endsEarly(path: string, missing: number): StoreError {
  return new StoreError('PACK_DAMAGED', `${path}: ends ${missing} bytes early; run: rackboot store verify`);
}
