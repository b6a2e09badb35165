import type { RequestFacts } from '../pxe/http/dispatch.js';
import type { TransferTotals } from '../pxe/boot/transfers.js';

/** Counts what the servers do, and prints it as Prometheus text (exposition format 0.0.4). */
export class Metrics {
  readonly #requests = new Map<number, number>();
  readonly #dhcp = new Map<string, number>();
  readonly #tftp = new Map<string, number>();

  countRequest(facts: RequestFacts): void {
    increment(this.#requests, facts.status);
  }

  countDhcp(kind: string): void {
    increment(this.#dhcp, kind);
  }

  countTftp(outcome: string): void {
    increment(this.#tftp, outcome);
  }

  /** The text of /metrics. `nodes` counts nodes by what they are set to. */
  print(transfers: TransferTotals, nodes: ReadonlyMap<string, number>, uptimeSeconds: number): string {
    return [
      ...family('rackboot_uptime_seconds', 'gauge', 'Seconds since the servers started', [
        ['', Math.round(uptimeSeconds)],
      ]),
      ...family(
        'rackboot_http_requests_total',
        'counter',
        'HTTP requests by status',
        labelled('status', this.#requests),
      ),
      ...family(
        'rackboot_dhcp_messages_total',
        'counter',
        'DHCP messages by what became of them',
        labelled('kind', this.#dhcp),
      ),
      ...family(
        'rackboot_tftp_transfers_total',
        'counter',
        'TFTP requests by outcome',
        labelled('outcome', this.#tftp),
      ),
      ...family('rackboot_transfers_active', 'gauge', 'Artifacts being sent over HTTP', [
        ['', transfers.active],
      ]),
      ...family('rackboot_transfers_total', 'counter', 'Artifacts sent over HTTP, by how they ended', [
        ['{outcome="finished"}', transfers.finished],
        ['{outcome="aborted"}', transfers.aborted],
      ]),
      ...family('rackboot_sent_bytes_total', 'counter', 'Bytes of artifacts sent over HTTP', [
        ['', transfers.bytes],
      ]),
      ...family('rackboot_nodes', 'gauge', 'Nodes by what they are set to', labelled('state', nodes)),
      '',
    ].join('\n');
  }
}

type Sample = readonly [labels: string, value: number];

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function labelled(label: string, counts: ReadonlyMap<string | number, number>): Sample[] {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, count]) => [`{${label}="${key}"}`, count]);
}

function family(name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${labels} ${value}`),
  ];
}
