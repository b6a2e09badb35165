import { HttpError } from './errors.js';

/** Boot files sent to a rack at one time, unless configured. */
export const TRANSFERS_PER_RACK = 64;

/** How many transfers run at once in a rack, and how the others wait. */
export interface AdmissionLimits {
  readonly transfers: number; // at once in a rack
  readonly perClient: number; // the same for one address, so that none of a rack takes it for itself
  readonly waiting: number; // requests kept waiting in a rack
  readonly waitMs: number; // for so long at most: UEFI HTTP clients give up after 5 s
}

/** Seconds after which a request that was refused is made again, at most. */
const LONGEST_RETRY = 60;

/** How long a refused client's place is remembered, in milliseconds. */
const REMEMBERED = 2 * LONGEST_RETRY * 1000;

/** How many refused clients of a rack are remembered. */
const MOST_REMEMBERED = 4096;

interface Waiter {
  readonly client: string;
  readonly since: number;
  admit(): void;
  refuse(): void;
}

interface Rack {
  active: number;
  readonly activeOf: Map<string, number>; // by client
  readonly waiting: Waiter[]; // who has asked longest ago first
  readonly refused: Map<string, { readonly since: number; last: number }>; // by client
}

/** A request that came when too many others were being served; its client may ask again. */
export class BusyError extends HttpError {
  constructor(readonly retryAfter: number) {
    super('BUSY', `the transfers of this rack are all taken; ask again in ${retryAfter} s`);
  }
}

/**
 * Lets so many transfers of a rack run at once. The next ones wait a moment in line; the rest are refused and told when
 * to ask again, each another time. Who was refused keeps the place of its first request: it comes before those who asked
 * later, and takes the place in line of the latest of them, so that nobody starves.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #now: () => number;
  readonly #random: () => number; // 0 to 1
  readonly #racks = new Map<string, Rack>();

  constructor(limits: AdmissionLimits, now: () => number, random: () => number = Math.random) {
    this.#limits = limits;
    this.#now = now;
    this.#random = random;
  }

  /**
   * Resolves when `client` may transfer, with what to call when it has. Throws BusyError when it is not its turn, or
   * `gone` fires first.
   */
  async enter(name: string, client: string, gone: AbortSignal): Promise<() => void> {
    const rack: Rack = this.#racks.get(name) ?? {
      active: 0,
      activeOf: new Map(),
      waiting: [],
      refused: new Map(),
    };
    this.#racks.set(name, rack);
    const now = this.#now();
    for (const [other, { last }] of rack.refused) if (last < now - REMEMBERED) rack.refused.delete(other);
    const since = rack.refused.get(client)?.since ?? now;
    if (this.#isFree(rack, client)) begin(rack, client);
    else if (this.#crowds(rack, client) || !(await this.#wait(rack, client, since, gone)))
      throw this.#refusal(name, rack, client, since);
    rack.refused.delete(client);
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      end(rack, client);
      this.#advance(rack);
      this.#forget(name, rack);
    };
  }

  /** Waits in line; false when it was not its turn in time. */
  #wait(rack: Rack, client: string, since: number, gone: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const leave = (isAdmitted: boolean): void => {
        clearTimeout(timer);
        gone.removeEventListener('abort', refuse);
        const at = rack.waiting.indexOf(waiter);
        if (at !== -1) rack.waiting.splice(at, 1);
        resolve(isAdmitted);
      };
      const refuse = (): void => leave(false);
      const waiter: Waiter = { client, since, admit: () => leave(true), refuse };
      const timer = setTimeout(refuse, this.#limits.waitMs);
      gone.addEventListener('abort', refuse);
      const later = rack.waiting.findIndex((other) => other.since > since);
      rack.waiting.splice(later === -1 ? rack.waiting.length : later, 0, waiter);
      if (gone.aborted) refuse();
      else if (rack.waiting.length > this.#limits.waiting) rack.waiting.at(-1)?.refuse();
    });
  }

  #advance(rack: Rack): void {
    while (rack.active < this.#limits.transfers) {
      const next = rack.waiting.find(({ client }) => this.#hasRoom(rack, client));
      if (next === undefined) return;
      begin(rack, next.client);
      next.admit();
    }
  }

  /** Whether `client` has as many requests in line as it may have transfers. */
  #crowds(rack: Rack, client: string): boolean {
    return rack.waiting.filter((waiter) => waiter.client === client).length >= this.#limits.perClient;
  }

  /** Whether `client` may begin at once: there is room, and nobody in line could take it. */
  #isFree(rack: Rack, client: string): boolean {
    return this.#hasRoom(rack, client) && !rack.waiting.some((waiter) => this.#hasRoom(rack, waiter.client));
  }

  #hasRoom(rack: Rack, client: string): boolean {
    const { transfers, perClient } = this.#limits;
    return rack.active < transfers && (rack.activeOf.get(client) ?? 0) < perClient;
  }

  #refusal(name: string, rack: Rack, client: string, since: number): BusyError {
    rack.refused.delete(client);
    rack.refused.set(client, { since, last: this.#now() });
    const [oldest] = rack.refused.keys();
    if (rack.refused.size > MOST_REMEMBERED && oldest !== undefined) rack.refused.delete(oldest);
    this.#racks.set(name, rack);
    const crowd = Math.ceil(rack.refused.size / this.#limits.transfers);
    const spread = Math.min(LONGEST_RETRY - 2, 4 + 2 * crowd);
    return new BusyError(2 + Math.floor(this.#random() * spread));
  }

  #forget(name: string, rack: Rack): void {
    if (rack.active === 0 && rack.waiting.length === 0 && rack.refused.size === 0) this.#racks.delete(name);
  }
}

function begin(rack: Rack, client: string): void {
  rack.active++;
  rack.activeOf.set(client, (rack.activeOf.get(client) ?? 0) + 1);
}

function end(rack: Rack, client: string): void {
  rack.active--;
  const left = (rack.activeOf.get(client) ?? 1) - 1;
  if (left === 0) rack.activeOf.delete(client);
  else rack.activeOf.set(client, left);
}
