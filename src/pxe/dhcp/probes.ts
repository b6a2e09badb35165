import pLimit from 'p-limit';

/** How many addresses are looked at. */
export interface ProbeLimits {
  readonly atOnce: number; // others wait for their turn
  readonly waiting: number;
  readonly freshMs: number; // for so long one that was found free counts as free
}

/** Addresses that are remembered as free. */
const MOST_REMEMBERED = 4096;

/** Where another machine is looked for. */
export interface ProbeTarget {
  readonly address: string;
  readonly interface: string; // ours on its network
  readonly isOnLink: boolean; // on the same wire, not behind a relay
}

/** Looks for a machine at an address; gives what it is known by, a MAC address if possible, when there is one. */
export type Probe = (target: ProbeTarget) => Promise<string | undefined>;

/** Which addresses were found free a moment ago, and the looking for machines there. */
export class Probes {
  readonly #probe: Probe;
  readonly #free = new Map<string, number>(); // address and MAC: until when it counts
  readonly #running = new Map<string, Promise<string | undefined>>();
  readonly #limits: ProbeLimits;
  readonly #limit: ReturnType<typeof pLimit>;

  constructor(probe: Probe, limits: ProbeLimits) {
    this.#probe = probe;
    this.#limits = limits;
    this.#limit = pLimit(limits.atOnce);
  }

  /** Whether no more addresses can be looked at now. */
  get isFull(): boolean {
    return this.#limit.pendingCount >= this.#limits.waiting;
  }

  /** Whether `address` was found free for `mac` within the time of an offer. */
  isFree(address: string, mac: string, now: number): boolean {
    return (this.#free.get(keyOf(address, mac)) ?? 0) > now;
  }

  /** Who is at the address, other than `mac` itself; undefined: nobody, which is remembered. */
  async look(target: ProbeTarget, mac: string, now: number): Promise<string | undefined> {
    const key = keyOf(target.address, mac);
    const running = this.#running.get(key) ?? this.#limit(() => this.#probe(target));
    this.#running.set(key, running);
    try {
      const found = await running;
      if (found !== undefined && found !== mac) return found;
      this.#remember(key, now + this.#limits.freshMs);
      return undefined;
    } finally {
      this.#running.delete(key);
    }
  }

  #remember(key: string, until: number): void {
    this.#free.delete(key);
    this.#free.set(key, until);
    if (this.#free.size <= MOST_REMEMBERED) return;
    const [oldest] = this.#free.keys();
    if (oldest !== undefined) this.#free.delete(oldest);
  }
}

function keyOf(address: string, mac: string): string {
  return `${address} ${mac}`;
}
