import { RackbootError } from '../../errors.js';

/** Why there is no capture, or none that we read. */
export class PcapError extends RackbootError<'NOT_A_CAPTURE' | 'LINK_TYPE' | 'NO_TCPDUMP' | 'NOT_CAPTURED'> {
  override readonly name = 'PcapError';
}

/** An IP packet of a capture. */
export interface CapturedPacket {
  readonly at: number; // milliseconds since the epoch
  readonly ip: Buffer;
}

const FILE_HEADER = 24;
const RECORD_HEADER = 16;

const PCAPNG_SECTION = 0x0a0d0d0a;

/** Where the IP packet begins in a frame, and where its EtherType is, by link type (tcpdump.org/linktypes.html). */
const LINK_LAYERS: ReadonlyMap<number, { readonly type: number | undefined; readonly ip: number }> = new Map([
  [1, { type: 12, ip: 14 }], // Ethernet
  [101, { type: undefined, ip: 0 }], // raw IP
  [113, { type: 14, ip: 16 }], // Linux cooked
  [276, { type: 0, ip: 20 }], // Linux cooked v2
]);

const IPV4 = 0x0800;
const VLAN_TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8]);

/**
 * The IPv4 packets in a pcap file, VLAN tags taken off, as tcpdump writes it in either byte order and resolution. A last
 * record that was cut off is passed over. Throws PcapError.
 */
export function* readPcap(file: Buffer): Generator<CapturedPacket> {
  const { little, perSecond } = readMagic(file);
  const word = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const linkType = word(20) & 0x0fffffff;
  const layer = LINK_LAYERS.get(linkType);
  if (layer === undefined) {
    throw new PcapError(
      'LINK_TYPE',
      `link type ${linkType} is not read; capture on an Ethernet interface, or with tcpdump -i any.`,
    );
  }
  let at = FILE_HEADER;
  while (at + RECORD_HEADER <= file.length) {
    const end = at + RECORD_HEADER + word(at + 8);
    if (end > file.length) return;
    const ip = ipOf(file.subarray(at + RECORD_HEADER, end), layer);
    if (ip !== undefined) yield { at: word(at) * 1000 + (word(at + 4) / perSecond) * 1000, ip };
    at = end;
  }
}

function readMagic(file: Buffer): { readonly little: boolean; readonly perSecond: number } {
  if (file.length >= FILE_HEADER) {
    for (const little of [true, false]) {
      const magic = little ? file.readUInt32LE(0) : file.readUInt32BE(0);
      if (magic === 0xa1b2c3d4) return { little, perSecond: 1e6 };
      if (magic === 0xa1b23c4d) return { little, perSecond: 1e9 };
    }
    if (file.readUInt32BE(0) === PCAPNG_SECTION) {
      throw new PcapError(
        'NOT_A_CAPTURE',
        'it is a pcapng file; write it as pcap: editcap -F pcap IN OUT, or capture with tcpdump -w.',
      );
    }
  }
  throw new PcapError('NOT_A_CAPTURE', 'it is no pcap file; capture one with tcpdump -w.');
}

function ipOf(frame: Buffer, layer: { type: number | undefined; ip: number }): Buffer | undefined {
  if (layer.type === undefined) return frame;
  let { type, ip } = { type: layer.type, ip: layer.ip };
  while (frame.length >= ip && type + 2 <= frame.length && VLAN_TAGS.has(frame.readUInt16BE(type))) {
    type = ip + 2;
    ip += 4;
  }
  if (type + 2 > frame.length || frame.length < ip) return undefined;
  return frame.readUInt16BE(type) === IPV4 ? frame.subarray(ip) : undefined;
}
