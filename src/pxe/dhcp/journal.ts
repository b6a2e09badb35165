import type { Logger } from 'pino';
import type { StrangerState } from '../../store/records.js';
import { RateLimit } from '../rate-limit.js';
import { Repeats } from '../repeats.js';
import { classifyClient, describeClient } from './client.js';
import type { Decision } from './decide.js';
import type { DhcpError } from './errors.js';
import { type DhcpEvent, eventOf } from './event.js';
import { readMachineUuid } from './options.js';
import type { DhcpPacket } from './packet.js';

/** A row of machines that are no node may come at once: so many seconds' worth of dhcp.limits.strangersPerSecond. */
const STRANGERS_AT_ONCE = 20;

/** What each kind of line that a made-up sender can bring about counts against. */
type Made = 'logged' | 'recorded' | 'malformed';

/** Whose message something is told of. */
export interface Asker {
  readonly packet: DhcpPacket;
  readonly mac: string;
  readonly node: string | null; // its name
}

export interface JournalOptions {
  readonly log: Logger;
  readonly now: () => number;
  readonly strangersPerSecond: number;
  /** Told of each client that is no node, once a minute. */
  readonly onStranger: ((seen: Parameters<StrangerState['record']>[0]) => void) | undefined;
}

/** Tells what happened, without being made to tell more than anybody can read. */
export class Journal {
  readonly #options: JournalOptions;
  readonly #repeats = new Repeats();
  readonly #made: RateLimit;

  constructor(options: JournalOptions) {
    this.#options = options;
    const { strangersPerSecond } = options;
    this.#made = new RateLimit({
      burst: STRANGERS_AT_ONCE * strangersPerSecond,
      perSecond: strangersPerSecond,
      keys: 3,
    });
  }

  /** Logs `line`, once a minute for each `kind`. */
  warn(kind: string, line: string): void {
    if (this.#repeats.isNew(kind, this.#options.now())) this.#options.log.warn({ service: 'dhcp' }, line);
  }

  /** Tells that a message from `address` cannot be understood. */
  malformed(address: string, error: DhcpError): void {
    if (this.#allows('malformed')) this.warn(`${address} ${error.code}`, `${address}: ${error.message}`);
  }

  /** Tells of a client that is no node; `port` is the switch port that a relay named. */
  stranger(packet: DhcpPacket, mac: string, port: string | undefined, now: number): void {
    const { onStranger } = this.#options;
    if (onStranger === undefined || !this.#repeats.isNew(`stranger ${mac}`, now)) return;
    if (!this.#allows('recorded')) return;
    const client = describeClient(classifyClient(packet));
    onStranger({ mac, client, uuid: readMachineUuid(packet) ?? null, port: port ?? null, at: now });
  }

  /** Logs what was decided, and gives it as events. */
  report(decisions: readonly Decision[], { packet, mac, node }: Asker, now: number): readonly DhcpEvent[] {
    return worthTelling(decisions).flatMap((decision) => {
      const event = eventOf(decision, packet, mac, node, now);
      if (event.kind === 'ignored' && !this.#repeats.isNew(`${mac} ${event.reason}`, now)) return [];
      if (event.reason === 'unknown-node' && !this.#allows('logged')) return [];
      const line = `${event.kind} ${node ?? mac}: ${event.detail}`;
      const fields = { service: 'dhcp', mac, node, address: event.address, client: event.client };
      if (event.kind === 'nak' || event.kind === 'declined') this.#options.log.warn(fields, line);
      else this.#options.log.info(fields, line);
      return [event];
    });
  }

  /** Whether one more line of what anybody can make up may be written; tells once a minute when not. */
  #allows(what: Made): boolean {
    if (this.#made.take(what, this.#options.now())) return true;
    this.warn(
      'made up',
      'more machines that are no node ask than dhcp.limits.strangersPerSecond; not all are told of',
    );
    return false;
  }
}

/** What was done, each once; when nothing was, the first reason why. */
function worthTelling(decisions: readonly Decision[]): readonly Decision[] {
  const done = decisions.filter(({ kind }) => kind !== 'ignore');
  if (done.length < 2) return done.length === 1 ? done : decisions.slice(0, 1);
  return [...new Map(done.map((decision) => [`${decision.kind} ${decision.detail}`, decision])).values()];
}
