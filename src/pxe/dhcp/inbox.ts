import { setImmediate as nextTurn } from 'node:timers/promises';

/** Things that are answered together at most. */
const MOST_TOGETHER = 256;

/**
 * Gathers what arrives and has it answered in groups, one group at a time: while one is being answered, the next gathers.
 * A rack that asks at once costs a few transactions, and a single client waits for nobody.
 */
export class Inbox<T> {
  readonly #answer: (group: readonly T[]) => Promise<void>;
  readonly #most: number;
  #waiting: T[] = [];
  #isAnswering = false;

  /** `answer` must not reject. `most` may wait at one time. */
  constructor(answer: (group: readonly T[]) => Promise<void>, most: number) {
    this.#answer = answer;
    this.#most = most;
  }

  /** Takes `item`, or gives false when as many wait as may. */
  put(item: T): boolean {
    if (this.#waiting.length >= this.#most) return false;
    this.#waiting.push(item);
    if (!this.#isAnswering) {
      this.#isAnswering = true;
      void this.#answerAll();
    }
    return true;
  }

  async #answerAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#gather();
      await this.#answer(this.#waiting.splice(0, MOST_TOGETHER));
    }
    this.#isAnswering = false;
  }

  /** Waits until a turn of the event loop brings nothing more. */
  async #gather(): Promise<void> {
    for (let before = 0; before < this.#waiting.length && this.#waiting.length < MOST_TOGETHER;) {
      before = this.#waiting.length;
      await nextTurn();
    }
  }
}
