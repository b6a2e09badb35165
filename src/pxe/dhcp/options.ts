import { DhcpError } from './errors.js';
import type { DhcpOption, DhcpPacket } from './packet.js';
import { ipv4ToNumber, numberToIpv4 } from './ipv4.js';

/** The options rackboot reads or writes, by the names RFC 2132 and its successors give them. */
export const OPTION = {
  subnetMask: 1,
  routers: 3,
  nameServers: 6,
  hostName: 12,
  domainName: 15,
  broadcastAddress: 28,
  vendorSpecific: 43,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequestList: 55,
  message: 56,
  maxMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientIdentifier: 61,
  tftpServerName: 66,
  bootFileName: 67,
  userClass: 77, // RFC 3004
  relayAgentInformation: 82, // RFC 3046
  clientArchitecture: 93, // RFC 4578 §2.1
  clientNetworkInterface: 94, // RFC 4578 §2.2
  clientMachineId: 97, // RFC 4578 §2.3
  ipxe: 175, // encapsulates iPXE's own options
} as const;

const MESSAGE_TYPES = ['discover', 'offer', 'request', 'decline', 'ack', 'nak', 'release', 'inform'] as const;

/** What a message is (RFC 2132 §9.6), and `other` for the types of later RFCs. */
export type MessageType = (typeof MESSAGE_TYPES)[number] | 'other';

/** The bytes of option `code`, or undefined. */
export function findOption(packet: Pick<DhcpPacket, 'options'>, code: number): Buffer | undefined {
  for (const option of packet.options) if (option.code === code) return option.data;
  return undefined;
}

/** What the message is; undefined without option 53 (BOOTP). Throws DhcpError BAD_OPTION when it is not one byte. */
export function readMessageType(packet: DhcpPacket): MessageType | undefined {
  const data = findOption(packet, OPTION.messageType);
  if (data === undefined) return undefined;
  if (data.length !== 1) throw badLength(OPTION.messageType, data, 1);
  return MESSAGE_TYPES[data.readUInt8(0) - 1] ?? 'other';
}

/** The address in option `code`, or undefined without it. Throws DhcpError BAD_OPTION when it is not four bytes. */
export function readAddress(packet: DhcpPacket, code: number): string | undefined {
  const data = findOption(packet, code);
  if (data === undefined) return undefined;
  if (data.length !== 4) throw badLength(code, data, 4);
  return numberToIpv4(data.readUInt32BE(0));
}

/** Option 57 in bytes of IP datagram; undefined when it is absent or not two bytes. */
export function readMaxMessageSize(packet: DhcpPacket): number | undefined {
  const data = findOption(packet, OPTION.maxMessageSize);
  return data?.length === 2 ? data.readUInt16BE(0) : undefined;
}

/** Option `code` as text for matching and logs: no trailing NULs, anything but printable ASCII as `?`. */
export function readText(packet: DhcpPacket, code: number): string | undefined {
  const data = findOption(packet, code);
  return data === undefined ? undefined : printable(data);
}

/** The option codes the client asks for (option 55), in its order; undefined when it names none. */
export function readParameterRequestList(packet: DhcpPacket): Uint8Array | undefined {
  const data = findOption(packet, OPTION.parameterRequestList);
  return data === undefined || data.length === 0 ? undefined : data;
}

/**
 * The user classes of option 77. RFC 3004 §4 prefixes each with its length; iPXE and others send one bare string.
 * The first form is read only when its lengths add up exactly.
 */
export function readUserClasses(packet: DhcpPacket): readonly string[] {
  const data = findOption(packet, OPTION.userClass);
  if (data === undefined || data.length === 0) return [];
  const classes: string[] = [];
  let at = 0;
  while (at < data.length) {
    const length = data.readUInt8(at);
    const end = at + 1 + length;
    if (length === 0 || end > data.length) return [printable(data)];
    classes.push(printable(data.subarray(at + 1, end)));
    at = end;
  }
  return classes;
}

/** The architecture types of option 93, most preferred first; empty when it is absent or of odd length. */
export function readArchitectures(packet: DhcpPacket): readonly number[] {
  const data = findOption(packet, OPTION.clientArchitecture);
  if (data === undefined || data.length % 2 !== 0) return [];
  return Array.from({ length: data.length / 2 }, (_, index) => data.readUInt16BE(index * 2));
}

/**
 * Option 97 as the SMBIOS UUID that dmidecode prints, lower case: its first three fields are little-endian. Undefined
 * when the machine has none, which it says by all zeros or all ones (SMBIOS 3.6 §7.2.1).
 */
export function readMachineUuid(packet: DhcpPacket): string | undefined {
  const data = findOption(packet, OPTION.clientMachineId);
  if (data?.length !== 17 || data.readUInt8(0) !== 0) return undefined;
  if (/^00(?:0{32}|f{32})$/.test(data.toString('hex'))) return undefined;
  const field = (start: number, end: number, swap: boolean): string => {
    const bytes = Buffer.from(data.subarray(start, end));
    return (swap ? bytes.reverse() : bytes).toString('hex');
  };
  return [
    field(1, 5, true),
    field(5, 7, true),
    field(7, 9, true),
    field(9, 11, false),
    field(11, 17, false),
  ].join('-');
}

/** Options encapsulated in an option (43, 82, 175), or undefined when their lengths do not add up. */
export function readEncapsulated(data: Buffer): readonly DhcpOption[] | undefined {
  const options: DhcpOption[] = [];
  let at = 0;
  while (at < data.length) {
    const code = data.readUInt8(at);
    if (code === 255) break;
    if (code === 0) {
      at += 1;
      continue;
    }
    const end = at + 2 + (at + 1 < data.length ? data.readUInt8(at + 1) : 0);
    if (end > data.length) return undefined;
    options.push({ code, data: data.subarray(at + 2, end) });
    at = end;
  }
  return options;
}

const messageTypeOptions = new Map(
  MESSAGE_TYPES.map((type, index): [MessageType, DhcpOption] => [
    type,
    { code: OPTION.messageType, data: Buffer.of(index + 1) },
  ]),
);

/** Option 53 saying `type`. */
export function messageTypeOption(type: Exclude<MessageType, 'other'>): DhcpOption {
  return messageTypeOptions.get(type) ?? { code: OPTION.messageType, data: Buffer.alloc(1) };
}

/** An option of one or more addresses. */
export function addressOption(code: number, addresses: readonly string[]): DhcpOption {
  const data = Buffer.allocUnsafe(addresses.length * 4);
  addresses.forEach((address, index) => data.writeUInt32BE(ipv4ToNumber(address), index * 4));
  return { code, data };
}

/** An option of text, without a final NUL. */
export function textOption(code: number, text: string): DhcpOption {
  return { code, data: Buffer.from(text, 'latin1') };
}

/** An option of seconds as an unsigned 32-bit number; more than that is written as for ever (RFC 2131 §3.3). */
export function secondsOption(code: number, seconds: number): DhcpOption {
  const data = Buffer.allocUnsafe(4);
  data.writeUInt32BE(Math.min(Math.max(0, Math.floor(seconds)), 0xffffffff));
  return { code, data };
}

/** An option that holds `options`, with the end option that option 43 wants (RFC 2132 §8.4) when `end`. */
export function encapsulatingOption(
  code: number,
  options: readonly DhcpOption[],
  { end }: { readonly end: boolean },
): DhcpOption {
  const parts = options.flatMap((option) => [Buffer.of(option.code, option.data.length), option.data]);
  return { code, data: Buffer.concat(end ? [...parts, Buffer.of(255)] : parts) };
}

function printable(data: Buffer): string {
  return data
    .toString('latin1')
    .replace(/\0+$/, '')
    .replace(/[^\x20-\x7e]/g, '?');
}

function badLength(code: number, data: Buffer, wanted: number): DhcpError {
  return new DhcpError('BAD_OPTION', `option ${code} has ${data.length} bytes; it must have ${wanted}.`);
}
