import { TFTP_ERROR } from './packet.js';

/** How long things take, in milliseconds. */
export const TIMES = {
  firstWait: 1000, // before a retransmission while no round trip has been measured (RFC 6298 §2)
  leastWait: 50,
  mostWait: 4000,
  quiet: 10, // after a retransmission acknowledgements may be of what went before: while no round trip has been measured,
  leastQuiet: 1, // and when it has been very short
  silenceAtFirst: 10_000, // give up on a client that never acknowledged anything
  silence: 30_000, // give up on a client that stopped
  read: 30_000, // give up on a file that yields nothing
  lifetime: 3_600_000, // give up on a client that only keeps the transfer alive
} as const;

/** How a transfer ended. `probe`: the client only wanted to know the size (UEFI does before it loads). */
export type TransferOutcome = 'complete' | 'probe' | 'aborted' | 'timeout' | 'failed';

/** What the edge has to do, in order. Block numbers are absolute: 1, 2, 3 … without wrapping. */
export type TransferAction =
  | { readonly kind: 'oack' }
  | { readonly kind: 'data'; readonly first: number; readonly last: number }
  | {
      readonly kind: 'end';
      readonly outcome: TransferOutcome;
      readonly detail: string;
      readonly error?: { readonly code: number; readonly message: string }; // to send
    };

/** What a transfer has to know of its terms. */
export interface TransferTerms {
  readonly windowsize: number;
  readonly timeout: number | undefined; // milliseconds, the longest time between retransmissions the client agreed to
  readonly oack: boolean; // whether options were accepted, so that OACK comes before the first block
}

type Phase = 'oack' | 'data' | 'ended';

/**
 * The sending side of one transfer: lock-step by windows with go-back-N (RFC 1350 §2, RFC 7440 §4). No clock, socket or
 * file: events go in with the time in milliseconds, actions come out, and `deadline` says when `tick` is due. The
 * time between retransmissions adapts to the client as RFC 6298 says, and doubles while it is silent. A `timeout` that
 * was agreed on (RFC 2349) is the most it grows to, not the least: curl agrees on several seconds in every transfer, and
 * would wait them out at every lost packet.
 */
export class Transfer {
  readonly #terms: TransferTerms;
  readonly #startedAt: number;
  #phase: Phase;
  #acked = 0;
  #sent = 0; // the last block on its way since the last acknowledgement or retransmission
  #furthest = 0; // the last block ever sent
  #ready = 0; // the last block that can be sent
  #total: number | undefined; // the last block there is, once known
  #resent = 0;
  #deadline = Infinity;
  #starvedSince: number | undefined;
  #unmeasured = 0; // retransmissions since a round trip was measured
  #gapDue = Infinity; // when the block that the client misses is sent once more
  #heardAt: number;
  #quietUntil = 0;
  #wait: number;
  #roundTrip: { readonly smoothed: number; readonly variation: number } | undefined;
  #sample: { readonly block: number; readonly at: number } | undefined;

  constructor(terms: TransferTerms, now: number) {
    this.#terms = terms;
    this.#phase = terms.oack ? 'oack' : 'data';
    this.#startedAt = now;
    this.#heardAt = now;
    this.#wait = this.#longestWait(TIMES.firstWait);
  }

  /** When `tick` is due, in the time of the events; Infinity after the end. */
  get deadline(): number {
    return Math.min(this.#deadline, this.#gapDue);
  }

  /** The last block the client has acknowledged. */
  get acked(): number {
    return this.#acked;
  }

  /** How many blocks were sent again. */
  get resent(): number {
    return this.#resent;
  }

  /** Whether blocks are wanted: not while the client has still to accept the options, nor after the end. */
  get wantsData(): boolean {
    return this.#phase === 'data';
  }

  /** Whether the client took something and then fell silent, so that a new request of it replaces this transfer. */
  stalledAt(now: number): boolean {
    return this.#acked > 0 && now - this.#heardAt > TIMES.firstWait;
  }

  /** The first packets. */
  start(now: number): readonly TransferAction[] {
    if (this.#phase === 'data') return this.#pump(now);
    this.#sample = { block: 0, at: now };
    return this.#sendOack(now);
  }

  /** Blocks up to `last` can be sent; `end` when that is the file's last one. */
  ready(last: number, end: boolean, now: number): readonly TransferAction[] {
    this.#ready = last;
    this.#starvedSince = undefined;
    if (end) this.#total = last;
    return this.#phase === 'data' ? this.#pump(now) : [];
  }

  /** An acknowledgement of `block`, modulo 65536. One that cannot be meant is ignored. */
  ack(block: number, now: number): readonly TransferAction[] {
    if (this.#phase === 'oack') {
      if (block !== 0) return [];
      this.#phase = 'data';
      this.#heard(now, 0);
      return this.#pump(now);
    }
    const ahead = (block - this.#acked) & 0xffff;
    if (this.#phase === 'ended' || ahead > this.#furthest - this.#acked) return [];
    return ahead === 0 ? this.#duplicate(now) : this.#progress(this.#acked + ahead, now);
  }

  /** The client gave up with an ERROR. */
  error(code: number, message: string): readonly TransferAction[] {
    return this.leave(`the client sent error ${code} ${message}`.trimEnd());
  }

  /**
   * The client gave up: it said so, closed its port, or asked for something else. It was a probe when it was told the
   * size, or whatever else it asked, and took nothing of the file.
   */
  leave(detail: string): readonly TransferAction[] {
    if (this.#phase === 'ended') return [];
    return this.#end(this.#terms.oack && this.#acked === 0 ? 'probe' : 'aborted', detail);
  }

  /** The edge gave up: the file or the socket failed, or the server is closing. */
  fail(outcome: TransferOutcome, detail: string, message?: string): readonly TransferAction[] {
    return this.#phase === 'ended' ? [] : this.#end(outcome, detail, message);
  }

  /** The deadline has come; does nothing before it. */
  tick(now: number): readonly TransferAction[] {
    if (this.#phase === 'ended' || now < this.deadline) return [];
    if (now < this.#deadline) return this.#goBack(now);
    if (this.#phase === 'data' && this.#isStarved())
      return this.#end('failed', 'the file could not be read in time', 'read error');
    const patience = this.#furthest === 0 || this.#acked === 0 ? TIMES.silenceAtFirst : TIMES.silence;
    if (now - this.#heardAt >= Math.max(patience, 4 * (this.#terms.timeout ?? 0))) {
      return this.#end('timeout', `the client was silent after block ${this.#acked}`, 'no acknowledgement');
    }
    if (now - this.#startedAt >= TIMES.lifetime) return this.#endLate();
    this.#wait = this.#longestWait(this.#wait * 2);
    this.#sample = undefined; // Karn: a packet sent twice measures nothing
    return this.#phase === 'oack' ? this.#sendOack(now) : this.#goBack(now);
  }

  #sendOack(now: number): readonly TransferAction[] {
    this.#deadline = now + this.#wait;
    return [{ kind: 'oack' }];
  }

  #progress(block: number, now: number): readonly TransferAction[] {
    this.#heard(now, block);
    this.#acked = block;
    this.#gapDue = Infinity;
    if (block === this.#total) return this.#end('complete', '');
    // Inside the window: the client misses what follows (RFC 7440 §4).
    if (block < this.#sent) return this.#gap(now);
    this.#sent = block;
    return this.#pump(now);
  }

  /**
   * The same acknowledgement again. With a window it says that the first block of the window was lost; after a
   * retransmission it is only the echo of a block that came twice, and with a window of one it always may be: answering
   * those would send every block twice for ever (RFC 1123 §4.2.3.1, the Sorcerer's Apprentice).
   */
  #duplicate(now: number): readonly TransferAction[] {
    this.#heardAt = now;
    if (this.#terms.windowsize === 1 || this.#sent === this.#acked) return [];
    return now - this.#startedAt >= TIMES.lifetime ? this.#endLate() : this.#gap(now);
  }

  /**
   * The client misses the block after the last one acknowledged. Just after a retransmission that block may be on its way
   * again already: it is sent once more only if nothing else is heard for as long as that would take.
   */
  #gap(now: number): readonly TransferAction[] {
    if (now >= this.#quietUntil) return this.#goBack(now);
    const actions = this.#pump(now);
    this.#gapDue = now + this.#echoTime();
    return actions;
  }

  #goBack(now: number): readonly TransferAction[] {
    this.#sent = this.#acked;
    this.#sample = undefined;
    this.#gapDue = Infinity;
    this.#quietUntil = now + this.#echoTime();
    this.#unmeasured += 1;
    return this.#pump(now);
  }

  /** Sends what the window and the file allow, and sets the deadline. */
  #pump(now: number): readonly TransferAction[] {
    const first = this.#sent + 1;
    const last = Math.min(this.#acked + this.#terms.windowsize, this.#ready);
    const actions: TransferAction[] = [];
    if (last >= first) {
      actions.push({ kind: 'data', first, last });
      this.#resent += Math.max(0, Math.min(last, this.#furthest) - first + 1);
      if (last > this.#furthest && first > this.#furthest) this.#sample = { block: last, at: now };
      this.#sent = last;
      this.#furthest = Math.max(this.#furthest, last);
    }
    this.#starvedSince = this.#isStarved() ? (this.#starvedSince ?? now) : undefined;
    this.#deadline = this.#starvedSince === undefined ? now + this.#wait : this.#starvedSince + TIMES.read;
    return actions;
  }

  /** Whether the window waits for the file rather than for the client. */
  #isStarved(): boolean {
    return this.#sent < Math.min(this.#acked + this.#terms.windowsize, this.#total ?? Infinity);
  }

  #heard(now: number, block: number): void {
    this.#heardAt = now;
    if (this.#sample !== undefined && block >= this.#sample.block) {
      this.#measure(now - this.#sample.at);
      this.#sample = undefined;
    }
    this.#wait = this.#adaptedWait();
  }

  /** RFC 6298 §2: the smoothed round trip and its variation. */
  #measure(taken: number): void {
    this.#unmeasured = 0;
    const before = this.#roundTrip;
    this.#roundTrip =
      before === undefined
        ? { smoothed: taken, variation: taken / 2 }
        : {
            smoothed: before.smoothed + (taken - before.smoothed) / 8,
            variation: before.variation + (Math.abs(before.smoothed - taken) - before.variation) / 4,
          };
  }

  /**
   * How long acknowledgements may still be of what was sent before a retransmission. A client that acknowledges each block
   * that it does not expect answers a window for as long as that takes on its wire, which is not known while no round trip is
   * measured: after two retransmissions without, the time doubles with each, up to the timer's.
   */
  #echoTime(): number {
    if (this.#roundTrip === undefined) return TIMES.quiet;
    const { smoothed, variation } = this.#roundTrip;
    const trip = Math.max(TIMES.leastQuiet, smoothed + Math.max(smoothed, 4 * variation));
    return Math.min(this.#adaptedWait(), trip * 2 ** Math.max(0, this.#unmeasured - 2));
  }

  #adaptedWait(): number {
    if (this.#roundTrip === undefined) return this.#longestWait(TIMES.firstWait);
    return this.#longestWait(
      Math.max(this.#roundTrip.smoothed + 4 * this.#roundTrip.variation, TIMES.leastWait),
    );
  }

  /** `wait`, but no more than the client agreed to, or 4 seconds. */
  #longestWait(wait: number): number {
    return Math.min(wait, this.#terms.timeout ?? TIMES.mostWait);
  }

  #endLate(): readonly TransferAction[] {
    return this.#end('timeout', 'it took more than an hour', 'too slow');
  }

  #end(outcome: TransferOutcome, detail: string, message?: string): readonly TransferAction[] {
    this.#phase = 'ended';
    this.#deadline = Infinity;
    this.#gapDue = Infinity;
    const end = { kind: 'end', outcome, detail } as const;
    return [message === undefined ? end : { ...end, error: { code: TFTP_ERROR.undefined, message } }];
  }
}
