import { DhcpError } from './errors.js';
import { numberToIpv4 } from './ipv4.js';
import { type DhcpPacket, decodeDhcp } from './packet.js';
import { readPcap } from './pcap.js';
import { CLIENT_PORT, PROXY_PORT, SERVER_PORT } from './reply.js';

/** A DHCP message as it was seen on a wire. */
export interface Sighting {
  readonly at: number; // milliseconds since the epoch
  readonly from: { readonly address: string; readonly port: number };
  readonly to: { readonly address: string; readonly port: number };
  readonly packet: DhcpPacket;
}

/** The DHCP messages in a capture, in its order, and how many could not be read. */
export interface Capture {
  readonly sightings: readonly Sighting[];
  readonly malformed: number;
}

const PORTS: ReadonlySet<number> = new Set([SERVER_PORT, CLIENT_PORT, PROXY_PORT]);
const UDP = 17;

/** The DHCP messages in a pcap file. Throws PcapError when it is none. Other packets, and fragments, are passed over. */
export function readCapture(file: Buffer): Capture {
  const sightings: Sighting[] = [];
  let malformed = 0;
  for (const { at, ip } of readPcap(file)) {
    const datagram = readUdp(ip);
    if (datagram === undefined || !PORTS.has(datagram.from.port) || !PORTS.has(datagram.to.port)) continue;
    const { payload, from, to } = datagram;
    try {
      sightings.push({ at, from, to, packet: decodeDhcp(payload) });
    } catch (error) {
      if (!(error instanceof DhcpError)) throw error;
      malformed += 1;
    }
  }
  return { sightings, malformed };
}

/** The UDP datagram in an IPv4 packet (RFC 791 §3.1, RFC 768); undefined when it holds none, or only a part of one. */
function readUdp(ip: Buffer): (Pick<Sighting, 'from' | 'to'> & { readonly payload: Buffer }) | undefined {
  if (ip.length < 20 || ip.readUInt8(0) >> 4 !== 4 || ip.readUInt8(9) !== UDP) return undefined;
  const isFragment = (ip.readUInt16BE(6) & 0x3fff) !== 0;
  const start = (ip.readUInt8(0) & 15) * 4;
  if (isFragment || start < 20 || ip.length < start + 8) return undefined;
  const end = start + ip.readUInt16BE(start + 4);
  return {
    from: { address: numberToIpv4(ip.readUInt32BE(12)), port: ip.readUInt16BE(start) },
    to: { address: numberToIpv4(ip.readUInt32BE(16)), port: ip.readUInt16BE(start + 2) },
    payload: ip.subarray(start + 8, Math.max(start + 8, Math.min(end, ip.length))),
  };
}
