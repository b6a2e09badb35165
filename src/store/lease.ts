import { thisProcess } from './process.js';
import type { GenerationName, Timestamp } from './records.js';
import type { BlobIndex } from './state/blob-index.js';

const lifeMs = 5 * 60_000;
const heartbeatMs = 30_000;

/**
 * Says to gc, in every process, that a write or a read is under way. It is taken for dead when its process is (known at
 * once on the same host), or when it has not been heard of for five minutes; then a write finds LEASE_LOST and makes
 * nothing visible, and a read finds MISSING_BLOB.
 */
export class ProcessLease {
  readonly id: string;
  readonly #index: BlobIndex;
  readonly #heartbeat: NodeJS.Timeout;

  private constructor(id: string, index: BlobIndex, now: () => Timestamp) {
    this.id = id;
    this.#index = index;
    this.#heartbeat = setInterval(() => {
      // One that fails is made up for by the next; one that was lost is found out when the write is sealed.
      index.extendLease(id, now() + lifeMs).catch(() => undefined);
    }, heartbeatMs);
    this.#heartbeat.unref();
  }

  /** Keeps what is put or found under it. */
  static async forWrite(index: BlobIndex, purpose: string, now: () => Timestamp): Promise<ProcessLease> {
    const lease = { purpose, process: thisProcess(), expiresAt: now() + lifeMs };
    return new ProcessLease(await index.takeLease(lease), index, now);
  }

  /** Keeps the blobs of `generation`. Throws StoreError NO_SUCH_OSIMAGE, NO_SUCH_GENERATION. */
  static async forRead(
    index: BlobIndex,
    purpose: string,
    generation: GenerationName,
    now: () => Timestamp,
  ): Promise<ProcessLease> {
    const lease = { purpose, process: thisProcess(), expiresAt: now() + lifeMs, generation };
    return new ProcessLease(await index.takeLease(lease), index, now);
  }

  /** Gives it back. Never throws: one that cannot be given back expires. */
  async end(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#index.endLease(this.id).catch(() => undefined);
  }
}
