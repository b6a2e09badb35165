import { UNSPECIFIED, numberToIpv4 } from './ipv4.js';
import { OPTION, findOption, readEncapsulated } from './options.js';
import type { DhcpPacket } from './packet.js';

/** Sub-options of option 82: RFC 3046 §2.0, RFC 3527 §3. */
const CIRCUIT_ID = 1;
const REMOTE_ID = 2;
const LINK_SELECTION = 5;

/** What the relay that passed a message on says about where it is from. */
export interface RelayWord {
  readonly address: string; // giaddr: where replies go
  readonly link: string; // an address in the client's network: link selection, else giaddr
  /** The switch port: `remote/circuit`, or one of the two; see switchPortText. */
  readonly port: string | undefined;
}

/**
 * The relay's word, or undefined for a message that came directly: a client's own option 82 is nobody's word, and is
 * not read (RFC 3046 §2.1).
 */
export function readRelay(packet: DhcpPacket): RelayWord | undefined {
  if (packet.giaddr === UNSPECIFIED) return undefined;
  const data = findOption(packet, OPTION.relayAgentInformation);
  if (data === undefined) return { address: packet.giaddr, link: packet.giaddr, port: undefined };
  const options = readEncapsulated(data) ?? [];
  const find = (code: number): Buffer | undefined => options.find((option) => option.code === code)?.data;
  const link = find(LINK_SELECTION);
  const ids = [find(REMOTE_ID), find(CIRCUIT_ID)].flatMap((id) =>
    id === undefined || id.length === 0 ? [] : [switchPortText(id)],
  );
  return {
    address: packet.giaddr,
    link: link?.length === 4 ? numberToIpv4(link.readUInt32BE(0)) : packet.giaddr,
    port: ids.length === 0 ? undefined : ids.join('/'),
  };
}

/** A circuit or remote id as it is written down: itself when it is printable ASCII without blanks, else `hex:` and digits. */
function switchPortText(id: Buffer): string {
  const text = id.toString('latin1');
  return /^[\x21-\x7e]+$/.test(text) ? text : `hex:${id.toString('hex')}`;
}
