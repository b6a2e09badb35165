import { DemoError } from './errors.js';

/** Characters kept of what a machine wrote; older ones are dropped. */
const keptCharacters = 4 * 1024 * 1024;

/** Escape sequences (ECMA-48 §5.4, §5.6.5; ISO 2022 shifts) and the control characters that only move the cursor. */
const escapes =
  /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[PX^_\]][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]/g;

/** How far back a match may begin that ends in new text. */
const lookBack = 4096;

/** The end of a chunk that may be the beginning of an escape sequence: kept back until the next chunk. */
const unfinished = /\x1b(?:\[[0-?]*[ -/]*|[PX^_\]][^\x07\x1b]{0,256}|[ -/]*)?$/;

/** What a wait found: the match, and when it was seen, in milliseconds since the machine was started. */
export interface Sighting {
  readonly match: RegExpExecArray;
  readonly ms: number;
}

/** How long a wait may take. Without `withinMs` it lasts until the transcript ends or `signal` is aborted. */
export interface WaitBound {
  readonly withinMs?: number;
  readonly signal?: AbortSignal;
}

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (sighting: Sighting) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What a machine writes to its serial port, as text without terminal control sequences: whole lines for `onLine`, and
 * a transcript to search. A full-screen program writes no line ends, so `waitFor` looks at the text, not at lines.
 */
export class SerialTranscript {
  readonly #name: string;
  readonly #elapsed: () => number;
  readonly #lines = new Set<(line: string, ms: number) => void>();
  readonly #waiters = new Set<Waiter>();
  #text = '';
  #line = '';
  #held = '';
  #ending: string | undefined;

  /** `name` is for error messages; `elapsed` says how many milliseconds the machine has been running. */
  constructor(name: string, elapsed: () => number) {
    this.#name = name;
    this.#elapsed = elapsed;
  }

  /** The last 4 Mi characters written, with `\n` line ends. */
  get text(): string {
    return this.#text;
  }

  /** Adds raw output (Latin-1 or ASCII text, in pieces of any size). */
  feed(chunk: string): void {
    const input = this.#held + chunk;
    const cut = unfinished.exec(input);
    this.#held = cut === null ? '' : cut[0];
    const text = input
      .slice(0, input.length - this.#held.length)
      .replace(escapes, '')
      .replace(/\r+\n?|\n\r*/g, '\n');
    if (text === '') return;
    this.#text = (this.#text + text).slice(-keptCharacters);
    const pieces = (this.#line + text).split('\n');
    this.#line = pieces.pop() ?? '';
    const ms = this.#elapsed();
    for (const line of pieces) {
      if (line.trim() !== '') for (const listener of this.#lines) listener(line.trimEnd(), ms);
    }
    const recent = this.#text.slice(-(text.length + lookBack));
    for (const waiter of [...this.#waiters]) look(waiter, recent, ms);
  }

  /** The machine writes no more; waits that found nothing fail, and `reason` says why the machine ended. */
  end(reason: string): void {
    if (this.#ending !== undefined) return;
    this.#ending = reason;
    for (const waiter of [...this.#waiters]) {
      waiter.reject(this.#error('MACHINE_FAILED', `${reason} before ${String(waiter.pattern)} was seen`));
    }
  }

  /** Calls `listener` with every further line that is not blank; gives back the function that stops it. */
  onLine(listener: (line: string, ms: number) => void): () => void {
    this.#lines.add(listener);
    return () => this.#lines.delete(listener);
  }

  /**
   * The first match of `pattern` in the transcript, now or later. Throws DemoError NOT_SEEN when the time is over,
   * MACHINE_FAILED when the machine ended first, STOPPED when the signal was aborted.
   */
  async waitFor(pattern: RegExp, bound: WaitBound = {}): Promise<Sighting> {
    const { withinMs, signal } = bound;
    if (signal?.aborted === true) throw this.#error('STOPPED', 'stopped by the caller');
    let waiter: Waiter | undefined;
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => waiter?.reject(this.#error('STOPPED', 'stopped by the caller'));
    try {
      return await new Promise<Sighting>((resolve, reject) => {
        waiter = { pattern: new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')), resolve, reject };
        this.#waiters.add(waiter);
        look(waiter, this.#text, this.#elapsed());
        if (this.#ending !== undefined) {
          reject(this.#error('MACHINE_FAILED', `${this.#ending} before ${String(pattern)} was seen`));
        }
        signal?.addEventListener('abort', stop, { once: true });
        if (withinMs !== undefined) {
          timer = setTimeout(() => {
            const seconds = Math.round(withinMs / 1000);
            reject(this.#error('NOT_SEEN', `${String(pattern)} was not seen within ${seconds} s`));
          }, withinMs);
        }
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      if (waiter !== undefined) this.#waiters.delete(waiter);
    }
  }

  #error(code: 'NOT_SEEN' | 'MACHINE_FAILED' | 'STOPPED', what: string): DemoError {
    const last = this.#text.trimEnd().split('\n').at(-1) ?? '';
    const mend = last === '' ? 'it wrote nothing.' : `its last line: ${JSON.stringify(last.slice(-160))}.`;
    return new DemoError(code, `machine ${this.#name}: ${what}; ${mend}`);
  }
}

function look(waiter: Waiter, text: string, ms: number): void {
  const match = waiter.pattern.exec(text);
  if (match !== null) waiter.resolve({ match, ms });
}
