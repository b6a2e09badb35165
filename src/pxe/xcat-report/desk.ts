import { messageOf } from '../../errors.js';
import { oneLine, takeNext, takeReport, type NoNext } from '../../node/report.js';
import type { NodeRecord } from '../../store/records.js';
import type { BootService } from '../boot/service.js';
import { logReport } from '../http/report-routes.js';
import { RateLimit } from '../rate-limit.js';
import { whyNotByMac } from '../reporter.js';
import type { ReportLine } from './line.js';

/** Who asks to report, or why nobody is listened to. */
export type Reporter =
  { readonly kind: 'node'; readonly node: NodeRecord } | { readonly kind: 'nobody'; readonly why: string };

const NO_NEXT: Readonly<Record<NoNext, string>> = {
  'not-set': 'it is set to nothing that ends',
  'not-booted': 'it has not booted what it is set to',
  stateless: 'a stateless node stays with its osimage',
};

/** What the install monitor does with what nodes say: an address speaks for the node that has it, and for no other. */
export class ReportDesk {
  readonly #service: BootService;
  readonly #macOf: (address: string) => Promise<string | undefined>;
  readonly #reports = new RateLimit({ burst: 20, perSecond: 1, keys: 4096 });

  /** `macOf` is the MAC address that the kernel knows of an address, if it is on one of our own networks. */
  constructor(service: BootService, macOf: (address: string) => Promise<string | undefined>) {
    this.#service = service;
    this.#macOf = macOf;
  }

  /** The node that `client` is by our own reservations and leases, unless its MAC address says that it is another machine. */
  async identify(client: string): Promise<Reporter> {
    const { store, now } = this.#service;
    if (!this.#reports.take(client, now())) return { kind: 'nobody', why: 'too many reports from there' };
    const node = await store.nodes.byIp(client);
    if (node === undefined) return { kind: 'nobody', why: 'no node has that address' };
    const why = whyNotByMac(node, await this.#macOf(client));
    return why === undefined ? { kind: 'node', node } : { kind: 'nobody', why };
  }

  /** Does what `line` of `node` asks for. */
  async take(node: NodeRecord, client: string, line: ReportLine): Promise<void> {
    const { store, log, now } = this.#service;
    const report = { node: node.name, client, detail: '' };
    switch (line.kind) {
      case 'status':
        for (const stage of line.stages) {
          if (stage === 'installed') await this.#next(report);
          else await this.#status({ ...report, stage });
        }
        return;
      case 'next':
        return this.#next(report);
      case 'nothing':
        return;
      case 'foreign':
        log.info(
          { node: node.name, client },
          `${node.name} asks for ${line.word}, which xcatd does and rackboot does not`,
        );
        await store.events.append({
          at: now(),
          node: node.name,
          stage: 'asks',
          detail: oneLine(`asks for ${line.word}, which only xcatd does`),
          bytes: null,
          ms: null,
          generation: null,
          client,
        });
    }
  }

  async #status(report: {
    readonly node: string;
    readonly client: string;
    readonly detail: string;
    readonly stage: string;
  }): Promise<void> {
    const { store, log, now } = this.#service;
    try {
      await takeReport(store, report, now());
      logReport(log, report, undefined);
    } catch (error) {
      // A stage that only the servers see is nothing a node may report.
      log.info({ node: report.node, client: report.client }, `report refused: ${messageOf(error)}`);
    }
  }

  async #next(report: {
    readonly node: string;
    readonly client: string;
    readonly detail: string;
  }): Promise<void> {
    const { store, log, now } = this.#service;
    const taken = await takeNext(store, report, now());
    if ('next' in taken) logReport(log, { ...report, stage: 'next' }, taken.next);
    else
      log.info(
        { node: report.node, client: report.client },
        `${report.node} reports next; nothing changes: ${NO_NEXT[taken.why]}`,
      );
  }
}
