import { ipv4ToNumber } from '../../../src/pxe/dhcp/ipv4.js';
import { type DhcpPacket, encodeDhcp } from '../../../src/pxe/dhcp/packet.js';

/** A message on a wire, `from` and `to` as `10.77.0.1:67`. */
export interface Sent {
  readonly from: string;
  readonly to: string;
  readonly packet: DhcpPacket;
}

/** How a capture is written. */
export interface PcapStyle {
  readonly little: boolean;
  readonly magic: number;
  readonly linkType: number;
  readonly frame: (ip: Buffer) => Buffer;
}

export const ethernet: PcapStyle = {
  little: true,
  magic: 0xa1b2c3d4,
  linkType: 1,
  frame: (ip) => Buffer.concat([Buffer.alloc(12), Buffer.of(8, 0), ip]),
};

/** An IPv4 packet with the message in a UDP datagram; checksums are left at zero. */
export function ipPacket({ from, to, packet }: Sent): Buffer {
  const payload = encodeDhcp(packet);
  const bytes = Buffer.alloc(28 + payload.length);
  bytes.writeUInt8(0x45, 0);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt8(17, 9);
  for (const [at, end] of [from, to].entries()) {
    const [address = '', port = ''] = end.split(':');
    bytes.writeUInt32BE(ipv4ToNumber(address), 12 + at * 4);
    bytes.writeUInt16BE(Number(port), 20 + at * 2);
  }
  bytes.writeUInt16BE(8 + payload.length, 24);
  payload.copy(bytes, 28);
  return bytes;
}

/** A pcap file of IP packets, one a second. */
export function pcapFile(packets: readonly Buffer[], style: PcapStyle = ethernet): Buffer {
  const words = (...values: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4);
    values.forEach((value, index) =>
      style.little ? bytes.writeUInt32LE(value, index * 4) : bytes.writeUInt32BE(value, index * 4),
    );
    return bytes;
  };
  const records = packets.map((ip, index) => {
    const frame = style.frame(ip);
    return Buffer.concat([words(1000 + index, 500, frame.length, frame.length), frame]);
  });
  return Buffer.concat([words(style.magic, 0, 0, 0, 65535, style.linkType), ...records]);
}
