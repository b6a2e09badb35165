import type { DhcpEvent } from '../pxe/dhcp/event.js';
import type { EventState } from '../store/records.js';

const MOST_MACS = 65_536;

/**
 * Writes down who was told what to boot, or given an address. An operating system that renews its lease for as long as it
 * runs is written down once: anything else would push its node's boot out of the history.
 */
export class DhcpHistory {
  readonly #events: Pick<EventState, 'appendAll'>;
  readonly #last = new Map<string, string>(); // by MAC address: what was written of it

  constructor(events: Pick<EventState, 'appendAll'>) {
    this.#events = events;
  }

  async record(events: readonly DhcpEvent[]): Promise<void> {
    const told = events.filter(({ kind, node }) => (kind === 'ack' || kind === 'proxy') && node !== null);
    const news = told
      .map((event) => ({ event, detail: describe(event) }))
      .filter(({ event, detail }) => this.#isNews(event, detail));
    try {
      await this.#events.appendAll(
        news.map(({ event: { at, node, mac }, detail }) => ({
          ...{ at, node, stage: 'dhcp', detail },
          ...{ bytes: null, ms: null, generation: null, client: mac },
        })),
      );
    } catch (error) {
      for (const { event } of news) this.#last.delete(event.mac); // not written: news again when it is told again
      throw error;
    }
  }

  /** Whatever says what to boot is news; an address alone is, when it is not the last thing that was written. */
  #isNews({ bootFile, mac, node }: DhcpEvent, detail: string): boolean {
    const key = `${node ?? ''} ${detail}`;
    const isNews = bootFile !== null || this.#last.get(mac) !== key;
    this.#last.delete(mac);
    this.#last.set(mac, key);
    if (this.#last.size > MOST_MACS) {
      const [oldest] = this.#last.keys();
      if (oldest !== undefined) this.#last.delete(oldest);
    }
    return isNews;
  }
}

function describe({ address, client, bootFile }: DhcpEvent): string {
  return `${address ?? 'proxy'} for ${client}${bootFile === null ? '' : `, boot file ${bootFile}`}`;
}
