import { createHash, type Hash } from 'node:crypto';
import { asDigest, sha256, type Digest } from './digest.js';
import { fileError, StoreError } from './errors.js';
import type { StoreLayout } from './layout.js';
import type { ProcessLease } from './lease.js';
import { packHeader } from './pack-format.js';
import { PackWriter } from './pack-writer.js';
import type { BlobIndex, FinishedPack } from './state/blob-index.js';
import type { BlobWriter } from './types.js';

const mebibyte = 1024 * 1024;

/** When a pack is full, and from when on a stream gets a pack of its own. */
export interface PackLimits {
  readonly packBytes: number;
  readonly packBlobs: number;
  readonly streamBytes: number;
}

export const defaultLimits: PackLimits = {
  packBytes: 256 * mebibyte,
  packBlobs: 65_536,
  streamBytes: 4 * mebibyte,
};

/** What a write session works on. */
export interface SessionParts {
  readonly index: BlobIndex;
  readonly layout: StoreLayout;
  readonly lease: ProcessLease;
  readonly limits: PackLimits;
}

/**
 * One write: blobs go into packs below tmp/, which `seal` makes durable and known all at once. After an error in
 * writing or sealing nothing more can be put; a stream that fails by itself only fails its own `putStream`.
 */
export class WriteSession implements BlobWriter {
  readonly #parts: SessionParts;
  readonly #known = new Map<Digest, Promise<void>>(); // there already, or put in this session
  readonly #running = new Set<Promise<void>>();
  readonly #unfinished = new Set<PackWriter>();
  #packs: PackWriter[] = [];
  #current: Promise<PackWriter> | undefined;
  #planned = { bytes: 0, blobs: 0 };
  #broken: StoreError | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  async put(bytes: Buffer): Promise<Digest> {
    this.#requireWhole();
    const digest = sha256(bytes);
    await this.#once(digest, async () => {
      if (await this.#isThere(digest)) return;
      const pack = await this.#packFor(bytes.length);
      await pack.append(digest, bytes);
    });
    return digest;
  }

  async putStream(
    source: AsyncIterable<Buffer>,
  ): Promise<{ readonly digest: Digest; readonly size: number }> {
    this.#requireWhole();
    const head: Buffer[] = [];
    let size = 0;
    let long: LongBlob | undefined;
    try {
      for await (const chunk of source) {
        size += chunk.length;
        if (long === undefined) head.push(chunk);
        else await this.#guard(long.write(chunk));
        if (long === undefined && size > this.#parts.limits.streamBytes) {
          long = new LongBlob(await this.#guard(this.#newPack()));
          for (const part of head.splice(0)) await this.#guard(long.write(part));
        }
      }
      if (long === undefined) return { digest: await this.put(Buffer.concat(head)), size };
      return { digest: await this.#adopt(long), size };
    } catch (error) {
      if (long !== undefined) await this.#drop(long.pack);
      throw error;
    }
  }

  async seal(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    this.#requireWhole();
    const packs = this.#packs;
    this.#packs = [];
    this.#current = undefined;
    await this.#guard(this.#publish(packs));
    for (const pack of packs) this.#unfinished.delete(pack);
  }

  /** Ends the session and removes what was not sealed. Never throws: what it cannot remove, gc does. */
  async discard(): Promise<void> {
    this.#broken ??= new StoreError('CLOSED', 'put after the write had ended; await every put inside it.');
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    const packs = [...this.#unfinished];
    this.#unfinished.clear();
    for (const pack of packs) if (!pack.finished) await pack.abandon().catch(() => undefined);
    // A finished pack may be known although sealing it failed: its file goes only if its announcement could be taken back.
    const withdrawn = await this.#parts.index
      .withdrawPacks(packs.map((pack) => pack.name))
      .catch((): string[] => []);
    for (const pack of packs) if (withdrawn.includes(pack.name)) await pack.abandon().catch(() => undefined);
  }

  async #publish(packs: readonly PackWriter[]): Promise<void> {
    const { index, layout, lease } = this.#parts;
    await index.requireLease(lease.id);
    if (packs.length === 0) return;
    const finished: FinishedPack[] = [];
    for (const pack of packs) {
      const size = await pack.finish();
      finished.push({ name: pack.name, size, entries: pack.entries });
    }
    await layout.syncPacks().catch((error: unknown) => {
      throw fileError(error, layout.root);
    });
    await index.addPacks(lease.id, finished);
  }

  #isThere(digest: Digest): Promise<boolean> {
    return this.#parts.index.leaseIfPresent(this.#parts.lease.id, digest);
  }

  /** Runs `store` unless the blob was stored in this session before; either way returns once it is. */
  async #once(digest: Digest, store: () => Promise<void>): Promise<void> {
    let stored = this.#known.get(digest);
    if (stored === undefined) {
      stored = this.#guard(store());
      this.#known.set(digest, stored);
      this.#running.add(stored);
      const running = stored;
      const ended = (): boolean => this.#running.delete(running);
      running.then(ended, ended);
    }
    await stored;
  }

  async #adopt(long: LongBlob): Promise<Digest> {
    const digest = await this.#guard(long.end());
    this.#requireWhole();
    let kept = false;
    await this.#once(digest, async () => {
      if (await this.#isThere(digest)) return;
      this.#packs.push(long.pack);
      kept = true;
    });
    if (!kept) await this.#drop(long.pack);
    return digest;
  }

  /** The pack that takes the next `length` bytes. Which one that is, is settled before this returns. */
  #packFor(length: number): Promise<PackWriter> {
    const { packBytes, packBlobs } = this.#parts.limits;
    const full = this.#planned.bytes + length > packBytes || this.#planned.blobs >= packBlobs;
    if (this.#current === undefined || full) {
      this.#planned = { bytes: 0, blobs: 0 };
      this.#current = this.#newPack().then((pack) => {
        this.#packs.push(pack);
        return pack;
      });
    }
    this.#planned = { bytes: this.#planned.bytes + length, blobs: this.#planned.blobs + 1 };
    return this.#current;
  }

  async #newPack(): Promise<PackWriter> {
    const { index, layout, lease } = this.#parts;
    const name = layout.newName();
    await index.announcePack(lease.id, name);
    const pack = await PackWriter.create(layout, name);
    this.#unfinished.add(pack);
    return pack;
  }

  async #drop(pack: PackWriter): Promise<void> {
    this.#unfinished.delete(pack);
    await pack.abandon().catch(() => undefined);
    await this.#parts.index.withdrawPacks([pack.name]).catch(() => undefined);
  }

  #requireWhole(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  async #guard<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.#broken ??= fileError(error, this.#parts.layout.root);
      throw this.#broken;
    }
  }
}

/** A blob in a pack of its own, written in pieces of 1 MiB whatever the pieces it comes in. */
class LongBlob {
  readonly pack: PackWriter;
  readonly #hash: Hash = createHash('sha256');
  #piece = Buffer.allocUnsafe(mebibyte);
  #filled = 0;

  constructor(pack: PackWriter) {
    this.pack = pack;
  }

  async write(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    for (let done = 0; done < bytes.length;) {
      const taken = bytes.copy(this.#piece, this.#filled, done);
      done += taken;
      this.#filled += taken;
      if (this.#filled === this.#piece.length) await this.#flush();
    }
  }

  async end(): Promise<Digest> {
    await this.#flush();
    const digest = asDigest(this.#hash.digest('hex'));
    if (digest === undefined) throw new StoreError('IO', 'SHA-256 gave no digest.');
    this.pack.endBlob(digest, packHeader.length);
    return digest;
  }

  async #flush(): Promise<void> {
    if (this.#filled === 0) return;
    await this.pack.appendPiece(this.#piece.subarray(0, this.#filled));
    this.#filled = 0;
  }
}
