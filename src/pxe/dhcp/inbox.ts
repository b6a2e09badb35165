import { setImmediate as nextTurn } from 'node:timers/promises';

/** Things that are answered together at most. */
const MOST_TOGETHER = 256;

/** So many are worth a transaction of their own while the answers to those before them wait for the disk. */
const WORTH_ONE = 64;

/** A group that is decided, and when its answers have left. */
interface Answered {
  readonly left: Promise<void>;
}

/**
 * Gathers what arrives and has it answered in groups, one group at a time: while one is being answered, the next gathers.
 * While the answers of one wait for the disk, one more is answered, as soon as it is large. A rack that asks at once costs
 * a few transactions, and a single client waits for nobody.
 */
export class Inbox<T> {
  readonly #answer: (group: readonly T[]) => Promise<Answered>;
  readonly #most: number;
  #waiting: T[] = [];
  #isAnswering = false;
  #left: Promise<void> = Promise.resolve(); // what was answered last
  #onMany: (() => void) | undefined;

  /** `answer` must not reject, nor what it gives. `most` may wait at one time. */
  constructor(answer: (group: readonly T[]) => Promise<Answered>, most: number) {
    this.#answer = answer;
    this.#most = most;
  }

  /** Takes `item`, or gives false when as many wait as may. */
  put(item: T): boolean {
    if (this.#waiting.length >= this.#most) return false;
    this.#waiting.push(item);
    if (this.#waiting.length >= WORTH_ONE) this.#onMany?.();
    if (!this.#isAnswering) {
      this.#isAnswering = true;
      void this.#answerAll();
    }
    return true;
  }

  async #answerAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#gather();
      const before = this.#left;
      this.#left = (await this.#answer(this.#waiting.splice(0, MOST_TOGETHER))).left;
      await before;
    }
    this.#isAnswering = false;
  }

  /** Waits until a turn of the event loop brings nothing more, and until the answers before have left or many wait. */
  async #gather(): Promise<void> {
    for (let before = 0; before < this.#waiting.length && this.#waiting.length < MOST_TOGETHER;) {
      before = this.#waiting.length;
      await nextTurn();
    }
    if (this.#waiting.length < WORTH_ONE) await Promise.race([this.#left, this.#many()]);
  }

  #many(): Promise<void> {
    return new Promise((resolve) => {
      this.#onMany = resolve;
    });
  }
}
