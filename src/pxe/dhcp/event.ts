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
  const base = { at, mac, node, client: describeClient(classifyClient(packet)), detail: decision.detail };
  switch (decision.kind) {
    case 'reply': {
      const { address, bootFile, isProxy, type } = decision;
      return { ...base, kind: isProxy ? 'proxy' : type, reason: null, address, bootFile };
    }
    case 'decline':
      return { ...base, kind: 'declined', reason: null, address: decision.address, bootFile: null };
    case 'release':
      return { ...base, kind: 'released', reason: null, address: decision.address, bootFile: null };
    case 'ignore':
      return { ...base, kind: 'ignored', reason: decision.reason, address: null, bootFile: null };
  }
}
