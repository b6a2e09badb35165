import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../../errors.js';
import type { EventState, Timestamp } from '../../store/records.js';
import type { ProgressBus } from './progress.js';

/** What is being sent to whom. */
export interface TransferSubject {
  readonly node: string | null; // null: a client no node has the address of
  readonly client: string; // address
  readonly stage: string; // loader, kernel, initrd, tree …
  readonly path: string; // of the artifact
  readonly size: number; // bytes of the whole artifact
  readonly generation: string | null;
}

/** How a transfer ended. */
export interface TransferEnd {
  readonly bytes: number;
  readonly isComplete: boolean; // all that was asked for
  readonly isWhole: boolean; // the whole artifact
}

/** A running transfer. */
export interface Transfer {
  sent(bytes: number): void;
  end(result: TransferEnd): void;
}

/** Counters since the server started. */
export interface TransferTotals {
  readonly active: number;
  readonly finished: number;
  readonly aborted: number;
  readonly bytes: number;
}

const PROGRESS_EVERY = 250; // ms
const GATHER_QUIET = 2_000; // ms without a request until gathered ones are written down
const GATHER_LONGEST = 10_000; // ms
const FLUSH_WAIT = 20; // ms
const FLUSH_WAITS = 150;

/** Requests of one node for parts of one thing, written down as one event. */
interface Gathered {
  readonly subject: TransferSubject;
  readonly begin: Timestamp;
  end: Timestamp;
  requests: number;
  bytes: number;
  timer: NodeJS.Timeout;
}

/**
 * Writes what nodes fetch into their history. A boot file sent whole is one event; the many small requests of an
 * install tree or of ranges are gathered into one event every few seconds. Strangers are counted only.
 */
export class Transfers {
  readonly #events: Pick<EventState, 'append'>;
  readonly #progress: ProgressBus;
  readonly #log: Logger;
  readonly #now: () => Timestamp;
  readonly #gathered = new Map<string, Gathered>();
  readonly #writing = new Set<Promise<unknown>>();
  #totals = { active: 0, finished: 0, aborted: 0, bytes: 0 };

  constructor(options: {
    readonly events: Pick<EventState, 'append'>;
    readonly progress: ProgressBus;
    readonly log: Logger;
    readonly now: () => Timestamp;
  }) {
    this.#events = options.events;
    this.#progress = options.progress;
    this.#log = options.log;
    this.#now = options.now;
  }

  get totals(): TransferTotals {
    return this.#totals;
  }

  /** Begins to follow a transfer; `end` must be called once. */
  begin(subject: TransferSubject): Transfer {
    const begin = this.#now();
    let sent = 0;
    let told = begin;
    this.#totals.active++;
    return {
      sent: (bytes) => {
        sent += bytes;
        this.#totals.bytes += bytes;
        const at = this.#now();
        if (subject.node === null || at - told < PROGRESS_EVERY) return;
        told = at;
        const { node, stage, path, size } = subject;
        this.#progress.publish({ node, stage, path, sent, size, at });
      },
      end: (result) => {
        this.#totals.active--;
        if (result.isComplete) this.#totals.finished++;
        else this.#totals.aborted++;
        this.#finish(subject, result, begin, this.#now());
      },
    };
  }

  /** Waits for what is running (a few seconds at most), writes down what is gathered, and waits until it is written. */
  async flush(): Promise<void> {
    for (let left = FLUSH_WAITS; left > 0 && this.#totals.active > 0; left--) await sleep(FLUSH_WAIT);
    for (const key of [...this.#gathered.keys()]) this.#release(key);
    await Promise.all(this.#writing);
  }

  #finish(subject: TransferSubject, result: TransferEnd, begin: Timestamp, end: Timestamp): void {
    this.#log.debug(
      { ...subject, bytes: result.bytes, ms: end - begin },
      result.isComplete ? 'sent' : 'aborted',
    );
    if (subject.node === null || (result.bytes === 0 && subject.size > 0)) return;
    if (result.isWhole && subject.stage !== 'tree') {
      this.#write(subject, subject.path, result.bytes, begin, end);
    } else if (result.isComplete) {
      this.#gather(subject, result.bytes, begin, end);
    } else {
      const detail = `${subject.path}: stopped after ${result.bytes} of ${subject.size} bytes`;
      this.#write(subject, detail, result.bytes, begin, end);
    }
  }

  #gather(subject: TransferSubject, bytes: number, begin: Timestamp, end: Timestamp): void {
    const key = `${subject.node ?? ''} ${subject.stage} ${subject.generation ?? ''}`;
    const kept = this.#gathered.get(key);
    if (kept !== undefined) clearTimeout(kept.timer);
    const first = kept?.begin ?? begin;
    const wait = Math.max(0, Math.min(GATHER_QUIET, first + GATHER_LONGEST - end));
    const timer = setTimeout(() => this.#release(key), wait);
    timer.unref();
    this.#gathered.set(key, {
      subject,
      begin: first,
      end,
      requests: (kept?.requests ?? 0) + 1,
      bytes: (kept?.bytes ?? 0) + bytes,
      timer,
    });
  }

  #release(key: string): void {
    const kept = this.#gathered.get(key);
    if (kept === undefined) return;
    clearTimeout(kept.timer);
    this.#gathered.delete(key);
    const { subject, requests, bytes, begin, end } = kept;
    const detail = requests === 1 ? subject.path : `${requests} requests, the last for ${subject.path}`;
    this.#write(subject, detail, bytes, begin, end);
  }

  #write(subject: TransferSubject, detail: string, bytes: number, begin: Timestamp, end: Timestamp): void {
    const { node, stage, generation, client } = subject;
    const writing = this.#events
      .append({ at: end, node, stage, detail, bytes, ms: end - begin, generation, client })
      .catch((error: unknown) => this.#log.error({ node, stage }, `history: ${messageOf(error)}`))
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }
}
