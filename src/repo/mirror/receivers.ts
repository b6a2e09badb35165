import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { packageRoot } from '../../site/assets.js';
import type { Order, Receipt, Server } from './receive-thread.js';

/** What became of a file that the server sent. */
export type Received = Exclude<Receipt, { readonly kind: 'declined' } | { readonly kind: 'unanswered' }>;

/** Threads that fetch files over plain HTTP, check them and put them in their places. */
export interface Receivers {
  /** Fetches what lies at `url` whole; undefined where that is not for them: fetch it otherwise. Never rejects. */
  receive(url: string, order: Omit<Order, 'target'>): Promise<Received | undefined>;
  /** Ends the threads, and what they are at. Call it always. */
  stop(): Promise<void>;
}

const MOST = 4; // threads: so many write faster than any disk

/**
 * Receivers of files on the server of `url`, on as many threads as there are processors for, at most `jobs`; a thread
 * starts with its first file. Undefined for other servers than those of plain HTTP.
 */
export function receiversFor(url: string, jobs: number): Receivers | undefined {
  const { protocol, origin, hostname, host, port, username, password } = new URL(url);
  if (protocol !== 'http:') return undefined;
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const fields = [
    `Host: ${host}`,
    ...(username === '' ? [] : [`Authorization: Basic ${Buffer.from(credentials).toString('base64')}`]),
  ];
  const server: Server = {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 80 : Number(port),
    fields: fields.map((field) => `${field}\r\n`).join(''),
  };
  const threads: Thread[] = [];
  const most = Math.min(MOST, jobs, availableParallelism());
  const free = (): Thread => {
    const idlest = threads.reduce<Thread | undefined>(
      (best, thread) => (best === undefined || thread.busy < best.busy ? thread : best),
      undefined,
    );
    if (idlest !== undefined && (idlest.busy === 0 || threads.length === most)) return idlest;
    const started = new Thread(server);
    threads.push(started);
    return started;
  };
  let isDeclined = false; // one answer that is not for them: the others will be like it
  return {
    async receive(url, order) {
      const { origin: asked, pathname, search } = new URL(url);
      if (isDeclined || asked !== origin) return undefined;
      const receipt = await free().take({ ...order, target: pathname + search });
      isDeclined ||= receipt.kind === 'declined';
      if (receipt.kind === 'declined' || receipt.kind === 'unanswered') return undefined;
      return receipt;
    },
    async stop() {
      await Promise.all(threads.map((thread) => thread.stop()));
    },
  };
}

/** One thread, and who waits for what it is at. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (receipt: Receipt) => void>();
  #next = 0;
  #hasEnded = false;

  constructor(server: Server) {
    this.#worker = new Worker(path.join(packageRoot(), 'dist/src/repo/mirror/receive-thread.js'), {
      workerData: server,
    });
    this.#worker.on('message', ({ id, receipt }: { readonly id: number; readonly receipt: Receipt }) => {
      this.#waiting.get(id)?.(receipt);
      this.#waiting.delete(id);
    });
    this.#worker.on('error', () => this.#end());
    this.#worker.on('exit', () => this.#end());
  }

  get busy(): number {
    return this.#waiting.size;
  }

  take(order: Order): Promise<Receipt> {
    if (this.#hasEnded) return Promise.resolve({ kind: 'unanswered' });
    return new Promise((resolve) => {
      this.#waiting.set(this.#next, resolve);
      this.#worker.postMessage({ id: this.#next++, order });
    });
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  /** What it was at is fetched otherwise. */
  #end(): void {
    this.#hasEnded = true;
    for (const done of this.#waiting.values()) done({ kind: 'unanswered' });
    this.#waiting.clear();
  }
}
