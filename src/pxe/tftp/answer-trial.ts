/** How a line waits for an answer: in the event loop, or by asking the socket over and over for a while first. */
export type Wait = 'sleep' | 'poll';

/** How many answers a way of waiting is tried with, and how many come before both are tried again. */
export const TRIAL = { answers: 64, lasting: 4096 } as const;

/** Polling costs a processor, so that it has to save a fifth of the time between answers. */
const WORTH = 0.8;

/**
 * Which way of waiting brings a transfer's answers sooner. That depends on the client, the wire and on what else the
 * machine does, so both are tried in turn and the times between answers compared: the middle ones, as what comes
 * between now and then says nothing about either.
 */
export class AnswerTrial {
  readonly #times = new Float64Array(TRIAL.answers);
  #wait: Wait = 'sleep';
  #tried = 0; // times noted in this trial
  #sleeping: number | undefined; // milliseconds; undefined while that is being tried
  #left = 0; // answers before the next trial
  #heardAt: number | undefined;

  /** How to wait for the next answer. */
  get wait(): Wait {
    return this.#wait;
  }

  /** Notes an answer that came at `now`, in milliseconds. */
  answered(now: number): void {
    const taken = this.#heardAt === undefined ? undefined : now - this.#heardAt;
    this.#heardAt = now;
    if (this.#left > 0) {
      this.#left -= 1;
      if (this.#left === 0) this.#wait = 'sleep';
      return;
    }
    if (taken === undefined) return;
    this.#times[this.#tried] = taken;
    this.#tried += 1;
    if (this.#tried < TRIAL.answers) return;
    this.#tried = 0;
    const middle = this.#times.sort()[TRIAL.answers / 2] ?? 0;
    if (this.#sleeping === undefined) {
      this.#sleeping = middle;
      this.#wait = 'poll';
    } else {
      this.#wait = middle < WORTH * this.#sleeping ? 'poll' : 'sleep';
      this.#sleeping = undefined;
      this.#left = TRIAL.lasting;
    }
  }
}
