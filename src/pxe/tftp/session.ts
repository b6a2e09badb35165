import { codeOf, messageOf } from '../../errors.js';
import { BlockQueue, readPieces } from './block-queue.js';
import type { TftpFile } from './files.js';
import { pieceSize } from './limits.js';
import type { Line } from './lines.js';
import type { Terms } from './negotiate.js';
import { type TftpMode, decodeTftp, encodeTftp } from './packet.js';
import { Transfer, type TransferAction, type TransferOutcome } from './transfer.js';

/** How a session ended. */
export interface SessionResult {
  readonly outcome: TransferOutcome;
  readonly detail: string; // one line; empty when it is complete
  readonly bytes: number; // of the file, acknowledged by the client
  readonly resent: number; // blocks
}

export interface SessionOptions {
  readonly line: Line; // to the client; closed by the session
  readonly file: TftpFile; // closed by the session
  readonly mode: TftpMode;
  readonly terms: Terms;
  readonly now: () => number; // milliseconds, monotonic
}

/** One transfer: moves packets between its line, its file and the rules of transfer.ts. */
export class Session {
  readonly #options: SessionOptions;
  readonly #transfer: Transfer;
  readonly #queue: BlockQueue;
  readonly #line: Line;
  readonly #lead: number; // blocks to have ready beyond the acknowledged ones
  readonly #result: Promise<SessionResult>;
  #resolve: (result: SessionResult) => void = () => undefined;
  #filling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;
  #ended = false;

  constructor(options: SessionOptions) {
    const { terms, file, mode } = options;
    const piece = pieceSize(terms.blksize, terms.windowsize);
    this.#options = options;
    this.#line = options.line;
    this.#lead = piece / terms.blksize;
    this.#queue = new BlockQueue(readPieces(file, mode, piece), terms.blksize);
    this.#transfer = new Transfer({ ...terms, oack: terms.accepted !== undefined }, options.now());
    this.#result = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** Bytes of the file that the client has acknowledged. */
  get bytes(): number {
    return Math.min(this.#transfer.acked * this.#options.terms.blksize, this.#options.file.size);
  }

  /** Whether the client took something and then fell silent. */
  get stalled(): boolean {
    return this.#transfer.stalledAt(this.#options.now());
  }

  /** Whether the transfer is over, though it may still be letting go of its file. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether the client has taken nothing of the file so far. */
  get untouched(): boolean {
    return this.#transfer.acked === 0;
  }

  /** Runs the transfer to its end, and lets go of the line and the file. Never rejects. */
  run(): Promise<SessionResult> {
    this.#line.listen({
      onPacket: (bytes) => this.#receive(bytes),
      onError: (error) => this.#lineFailed(error),
    });
    this.#perform(this.#transfer.start(this.#options.now()));
    return this.#result;
  }

  /** Ends the transfer from our side. The client is told `message`, or nothing without one. */
  stop(reason: string, message?: string): void {
    this.#perform(this.#transfer.fail('aborted', reason, message));
  }

  /** Ends the transfer because the client has turned to something else. */
  leave(reason: string): void {
    this.#perform(this.#transfer.leave(reason));
  }

  #receive(bytes: Buffer): void {
    // An acknowledgement, as almost every packet is.
    if (bytes.length >= 4 && bytes.readUInt16BE(0) === 4) {
      this.#perform(this.#transfer.ack(bytes.readUInt16BE(2), this.#options.now()));
      return;
    }
    try {
      const packet = decodeTftp(bytes);
      if (packet.kind === 'error') this.#perform(this.#transfer.error(packet.code, packet.message));
    } catch {
      // Junk from the client's own port: its retransmission, or our patience, settles it.
    }
  }

  #lineFailed(error: Error): void {
    this.#perform(
      codeOf(error) === 'ECONNREFUSED'
        ? this.#transfer.leave('the client has closed its port')
        : this.#transfer.fail('failed', messageOf(error)),
    );
  }

  #perform(actions: readonly TransferAction[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'oack':
          this.#line.send(encodeTftp({ kind: 'oack', options: this.#options.terms.accepted ?? new Map() }));
          break;
        case 'data':
          for (const run of this.#queue.runs(action.first, action.last))
            this.#line.sendRun(run, this.#queue.packetSize);
          break;
        case 'end':
          if (action.error !== undefined) this.#line.send(encodeTftp({ kind: 'error', ...action.error }));
          void this.#finish(action.outcome, action.detail);
          return;
      }
    }
    if (this.#ended) return;
    this.#queue.release(this.#transfer.acked);
    this.#readAhead();
    this.#setTimer();
  }

  /** Keeps one read running while less than `lead` blocks are ready. */
  #readAhead(): void {
    const queue = this.#queue;
    if (this.#filling !== undefined || queue.ended || !this.#transfer.wantsData) return;
    if (queue.last - this.#transfer.acked >= this.#lead) return;
    this.#filling = queue.fill().then(
      () => {
        this.#filling = undefined;
        this.#perform(this.#transfer.ready(queue.last, queue.ended, this.#options.now()));
      },
      (error: unknown) => {
        this.#filling = undefined;
        this.#perform(this.#transfer.fail('failed', messageOf(error), 'read error'));
      },
    );
  }

  /** The timer is only moved to an earlier time; a later deadline is noticed when it fires. */
  #setTimer(): void {
    const { deadline } = this.#transfer;
    if (deadline >= this.#timerAt || deadline === Infinity) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Infinity;
        this.#perform(this.#transfer.tick(this.#options.now()));
      },
      Math.max(1, Math.ceil(deadline - this.#options.now())),
    );
  }

  async #finish(outcome: TransferOutcome, detail: string): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    const bytes = outcome === 'complete' ? this.#options.file.size : this.bytes;
    await this.#filling;
    await this.#queue.close().catch(() => undefined);
    await this.#options.file.close().catch(() => undefined);
    await this.#line.close();
    this.#resolve({ outcome, detail, bytes, resent: this.#transfer.resent });
  }
}
