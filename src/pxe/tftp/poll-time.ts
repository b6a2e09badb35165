/** Milliseconds. */
export const POLL_TIME = {
  most: 1, // of polling in one turn of the event loop
  otherWork: 0.25, // a turn that took so long after the polling had something else to do
  rest: 10, // without polling after such a turn: times what the other work took
  longestRest: 50,
} as const;

/**
 * How long polling may hold up the event loop: a millisecond of each turn, and not at all for a while when a turn turns
 * out to have had other work, ten times as long as that took. `nextTurn` runs what it is given once everybody else had a turn.
 */
export class PollTime {
  readonly #now: () => number;
  readonly #nextTurn: (run: () => void) => void;
  #until: number | undefined; // in this turn, once something polled
  #endedAt = 0;
  #restUntil = -Infinity;

  constructor(now: () => number, nextTurn: (run: () => void) => void = (run) => void setImmediate(run)) {
    this.#now = now;
    this.#nextTurn = nextTurn;
  }

  /** Until when polling may go on in this turn; undefined: not now. */
  begin(): number | undefined {
    const now = this.#now();
    if (now < this.#restUntil) return undefined;
    if (this.#until === undefined) {
      this.#until = now + POLL_TIME.most;
      this.#nextTurn(() => this.#turn());
    }
    return now < this.#until ? this.#until : undefined;
  }

  /** Polling has ended, for this turn or for good. */
  end(): void {
    this.#endedAt = this.#now();
  }

  #turn(): void {
    const now = this.#now();
    const otherWork = now - this.#endedAt;
    if (otherWork > POLL_TIME.otherWork)
      this.#restUntil = now + Math.min(POLL_TIME.rest * otherWork, POLL_TIME.longestRest);
    this.#until = undefined;
  }
}
