import { randomFrom } from '../dhcp/random.js';
import { Transfer, type TransferAction, type TransferOutcome } from '../../../src/pxe/tftp/transfer.js';

/** How the network treats packets; chances from 0 to 1, delays in milliseconds. */
export interface Network {
  readonly seed: number;
  readonly loss: number;
  readonly duplication: number;
  readonly delay: number;
  readonly rate?: number; // packets a millisecond to the client, which wait for each other; any number unless told
  readonly jitter: number; // added to the delay, differently for each packet: more than 0 reorders
}

/** How the client behaves. `once`: it acknowledges a gap once; `each`: for each block that comes out of order. */
export interface ClientHabits {
  readonly windowsize: number;
  readonly gaps: 'once' | 'each';
  readonly patience: number; // milliseconds until it repeats its last acknowledgement
}

export interface Simulated {
  readonly outcome: TransferOutcome;
  readonly received: number; // blocks in order
  readonly resent: number; // as the transfer counts
  readonly sent: number; // data packets
  readonly ms: number; // of simulated time
}

type Packet = { readonly kind: 'oack' } | { readonly kind: 'data' | 'ack'; readonly block: number };

/**
 * Runs a transfer of `total` blocks against a client of RFC 7440 over a simulated network, in simulated time. `vanishAfter`:
 * the client is gone after that many blocks. `readTime`: milliseconds for each 16 blocks of the file.
 */
export function simulate(
  total: number,
  network: Network,
  habits: ClientHabits,
  { oack = true, vanishAfter = Infinity, readTime = 0 } = {},
): Simulated {
  const random = randomFrom(network.seed);
  const queue: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  let now = 0;
  let order = 0;
  let outcome: TransferOutcome | undefined;
  let sent = 0;
  let ready = 0;
  let reading = false;

  const later = (delay: number, run: () => void): void =>
    void queue.push({ at: now + delay, order: (order += 1), run });
  let free = 0; // when the wire to the client has carried all it was given
  const queueing = (): number => {
    if (network.rate === undefined) return 0;
    free = Math.max(free, now) + 1 / network.rate;
    return free - now;
  };
  const carry = (packet: Packet, arrive: (packet: Packet) => void): void => {
    for (let copies = random() < network.duplication ? 2 : 1; copies > 0; copies -= 1) {
      const delay = network.delay + random() * network.jitter + (packet.kind === 'data' ? queueing() : 0);
      if (random() >= network.loss) later(delay, () => arrive(packet));
    }
  };

  // The client.
  let expected = 1;
  let inWindow = 0;
  let gapTold = false;
  let lastAck = -1;
  let heard = 0;
  const acknowledge = (block: number): void => {
    lastAck = block;
    inWindow = 0;
    carry({ kind: 'ack', block: block & 0xffff }, toServer);
  };
  const wait = (): void => {
    const since = heard;
    later(habits.patience, () => {
      if (outcome !== undefined || expected > vanishAfter) return;
      if (heard === since && lastAck >= 0 && expected <= total) acknowledge(lastAck);
      wait();
    });
  };
  const toClient = (packet: Packet): void => {
    if (expected > vanishAfter) return;
    heard += 1;
    if (packet.kind === 'oack') {
      if (expected === 1) acknowledge(0);
    } else if (packet.block === (expected & 0xffff) && expected <= total) {
      expected += 1;
      inWindow += 1;
      gapTold = false;
      if (inWindow === habits.windowsize || expected > total) acknowledge(expected - 1);
    } else if (habits.gaps === 'each' || !gapTold) {
      gapTold = true;
      acknowledge(expected - 1);
    }
  };

  // The server.
  const transfer = new Transfer({ windowsize: habits.windowsize, timeout: undefined, oack }, now);
  const perform = (actions: readonly TransferAction[]): void => {
    for (const action of actions) {
      if (action.kind === 'end') outcome = action.outcome;
      else if (action.kind === 'oack') carry({ kind: 'oack' }, toClient);
      else {
        for (let block = action.first; block <= action.last; block += 1) {
          if (block > ready) throw new Error(`block ${block} was sent before it was ready`);
          sent += 1;
          carry({ kind: 'data', block: block & 0xffff }, toClient);
        }
      }
    }
    if (reading || ready >= total || !transfer.wantsData || ready - transfer.acked >= 4 * habits.windowsize)
      return;
    reading = true;
    later(readTime, () => {
      reading = false;
      ready = Math.min(total, ready + Math.max(16, habits.windowsize));
      perform(transfer.ready(ready, ready === total, now));
    });
  };
  const toServer = (packet: Packet): void => {
    if (packet.kind === 'ack') perform(transfer.ack(packet.block, now));
  };

  perform(transfer.start(now));
  wait();
  for (let steps = 0; outcome === undefined; steps += 1) {
    if (steps > 2_000_000) throw new Error('the simulation does not end');
    queue.sort((a, b) => a.at - b.at || a.order - b.order);
    const next = queue[0];
    if (transfer.deadline <= (next?.at ?? Infinity)) {
      now = Math.max(now, transfer.deadline);
      perform(transfer.tick(now));
    } else if (next !== undefined) {
      queue.shift();
      now = next.at;
      next.run();
    } else throw new Error('nothing will ever happen');
  }
  return { outcome, received: expected - 1, resent: transfer.resent, sent, ms: now };
}
