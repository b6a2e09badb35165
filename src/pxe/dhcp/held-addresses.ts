/**
 * Addresses that a client declined, each with the time until which it is not given out. In memory only: a restart
 * offers them again, and the client declines again. Bounded by the number of nodes, because only reservations get in.
 */
export class HeldAddresses {
  readonly #until = new Map<string, number>();

  hold(address: string, until: number): void {
    this.#until.set(address, until);
  }

  /** Until when `address` is held, or undefined; what has passed at `now` is forgotten. */
  heldUntil(address: string, now: number): number | undefined {
    const until = this.#until.get(address);
    if (until === undefined || now < until) return until;
    this.#until.delete(address);
    return undefined;
  }
}
