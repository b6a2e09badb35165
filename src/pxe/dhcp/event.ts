import { classifyClient, describeClient } from './client.js';
import type { Decision, IgnoreReason } from './decide.js';
import type { DhcpPacket } from './packet.js';

/** Something that happened between the DHCP server and a client. Repetitions of `ignored` within a minute are left out. */
export interface DhcpEvent {
  readonly at: number; // milliseconds since the epoch
  readonly kind: 'offer' | 'ack' | 'nak' | 'proxy' | 'declined' | 'released' | 'ignored'; // `proxy`: a boot file, no address
  readonly reason: IgnoreReason | null; // of `ignored`
  readonly mac: string;
  readonly node: string | null;
  readonly address: string | null; // given out, declined or released
  readonly client: string; // `iPXE, UEFI x64`
  readonly bootFile: string | null; // a loader's name, or a URL
  readonly detail: string; // one line
}

/** The event that a decision about `packet` of `mac` is. */
export function eventOf(
  decision: Decision,
  packet: DhcpPacket,
  mac: string,
  node: string | null,
  at: number,
): DhcpEvent {
  const { detail } = decision;
  const client = describeClient(classifyClient(packet));
  const event = (
    kind: DhcpEvent['kind'],
    address: string | null,
    reason: IgnoreReason | null,
    bootFile: string | null,
  ): DhcpEvent => ({ at, kind, reason, mac, node, address, client, bootFile, detail });
  switch (decision.kind) {
    case 'reply':
      return event(decision.isProxy ? 'proxy' : decision.type, decision.address, null, decision.bootFile);
    case 'decline':
      return event('declined', decision.address, null, null);
    case 'release':
      return event('released', decision.address, null, null);
    case 'ignore':
      return event('ignored', null, decision.reason, null);
  }
}
