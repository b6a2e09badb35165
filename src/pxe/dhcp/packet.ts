import { DhcpError } from './errors.js';
import { ipv4ToNumber, numberToIpv4 } from './ipv4.js';
import { PIECE_BYTES, type OptionLayout, layOutOptions, piecesOf, sizeOf } from './layout.js';

/** Where the fields of a message lie, in bytes (RFC 2131 §2). */
const AT = {
  op: 0,
  htype: 1,
  hlen: 2,
  hops: 3,
  xid: 4,
  secs: 8,
  flags: 10,
  ciaddr: 12,
  yiaddr: 16,
  siaddr: 20,
  giaddr: 24,
  chaddr: 28,
  sname: 44,
  file: 108,
  cookie: 236,
  options: 240,
} as const;

const MAGIC_COOKIE = 0x63825363;
const CHADDR_BYTES = AT.sname - AT.chaddr;

const PAD = 0;
const OVERLOAD = 52;
const END = 255;

/** The longest message read, in bytes. Longer ones are refused unread: no client has a reason to send one. */
export const MAX_MESSAGE = 4096;

/**
 * The shortest message written, in bytes: BOOTP's fixed size (RFC 1542 §2.1), below which ROMs and relays drop it. Without
 * the magic cookie none that is shorter is read either: nothing else tells BOOTP from what is not.
 */
const MIN_MESSAGE = 300;

/** The values of the `op` field. */
export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;

/** The one defined bit of `flags`: the client cannot yet receive unicast (RFC 2131 §2). */
export const BROADCAST_FLAG = 0x8000;

/** One option: its code, 1 to 254, and its bytes. */
export interface DhcpOption {
  readonly code: number;
  readonly data: Buffer;
}

/** A DHCP message. Addresses are dotted IPv4; `0.0.0.0` means none. */
export interface DhcpPacket {
  readonly op: typeof BOOTREQUEST | typeof BOOTREPLY;
  readonly htype: number; // 1 is Ethernet
  readonly hops: number;
  readonly xid: number;
  readonly secs: number;
  readonly flags: number;
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  readonly chaddr: Buffer; // `hlen` bytes, 0 to 16
  readonly sname: string; // Latin-1 without NUL, at most 64; empty when the field carries options
  readonly file: string; // Latin-1 without NUL, at most 128; empty when the field carries options
  readonly options: readonly DhcpOption[]; // in order; after decoding each code occurs once
  readonly isBare?: true; // BOOTP of RFC 951: no magic cookie, and no options; what else lies there is not looked at
}

/** The message in `bytes`, parts of which it holds on to. Throws DhcpError. Bytes after the end option are not looked at. */
export function decodeDhcp(bytes: Buffer): DhcpPacket {
  if (bytes.length > MAX_MESSAGE)
    throw new DhcpError('TOO_LONG', `${bytes.length} bytes; at most ${MAX_MESSAGE} are read.`);
  if (bytes.length < AT.cookie)
    throw new DhcpError('TRUNCATED', `${bytes.length} bytes; a message has at least ${AT.options}.`);
  const op = bytes.readUInt8(AT.op);
  if (op !== BOOTREQUEST && op !== BOOTREPLY)
    throw new DhcpError('BAD_OP', `op ${op}; neither request (1) nor reply (2).`);
  const isBare = bytes.length < AT.options || bytes.readUInt32BE(AT.cookie) !== MAGIC_COOKIE;
  if (isBare && bytes.length < MIN_MESSAGE) {
    throw new DhcpError(
      'BAD_COOKIE',
      `no DHCP magic cookie at byte 236, and ${bytes.length} bytes, where BOOTP has ${MIN_MESSAGE}.`,
    );
  }
  const hlen = bytes.readUInt8(AT.hlen);
  if (hlen > CHADDR_BYTES)
    throw new DhcpError('BAD_HARDWARE_ADDRESS', `hlen ${hlen}; at most ${CHADDR_BYTES}.`);

  const sname = bytes.subarray(AT.sname, AT.file);
  const file = bytes.subarray(AT.file, AT.cookie);
  let options = isBare ? [] : readOptions(bytes.subarray(AT.options));
  const overload = readOverload(options);
  if (overload !== 0) {
    // RFC 3396 §5: an option split over several fields is put together from options, then file, then sname.
    if (overload & 1) options.push(...readOptions(file));
    if (overload & 2) options.push(...readOptions(sname));
    options = options.filter((option) => option.code !== OVERLOAD);
  }

  const packet: DhcpPacket = {
    op,
    htype: bytes.readUInt8(AT.htype),
    hops: bytes.readUInt8(AT.hops),
    xid: bytes.readUInt32BE(AT.xid),
    secs: bytes.readUInt16BE(AT.secs),
    flags: bytes.readUInt16BE(AT.flags),
    ciaddr: numberToIpv4(bytes.readUInt32BE(AT.ciaddr)),
    yiaddr: numberToIpv4(bytes.readUInt32BE(AT.yiaddr)),
    siaddr: numberToIpv4(bytes.readUInt32BE(AT.siaddr)),
    giaddr: numberToIpv4(bytes.readUInt32BE(AT.giaddr)),
    chaddr: bytes.subarray(AT.chaddr, AT.chaddr + hlen),
    sname: overload & 2 ? '' : readText(sname),
    file: overload & 1 ? '' : readText(file),
    options: joinOptions(options),
  };
  return isBare ? { ...packet, isBare } : packet;
}

/**
 * The bytes of `packet`, at least 300 and at most `maxSize`. An option longer than 255 bytes is split (RFC 3396). Options
 * that do not fit go into `file` and `sname` where these are empty (option overload). Throws DhcpError TOO_LARGE when
 * they do not fit there either, and BAD_OPTION, BAD_ADDRESS or BAD_HARDWARE_ADDRESS when a field cannot hold its value.
 */
export function encodeDhcp(packet: DhcpPacket, maxSize: number = MAX_MESSAGE): Buffer {
  const layout = layOut(packet, maxSize);
  if (layout === undefined) {
    const size = AT.options + sizeOf(packet.options) + 1;
    throw new DhcpError('TOO_LARGE', `${size} bytes of message; the client takes ${maxSize}.`);
  }
  if (packet.chaddr.length > CHADDR_BYTES) {
    throw new DhcpError(
      'BAD_HARDWARE_ADDRESS',
      `${packet.chaddr.length} bytes of chaddr; at most ${CHADDR_BYTES}.`,
    );
  }
  const overload = (layout.file.length > 0 ? 1 : 0) + (layout.sname.length > 0 ? 2 : 0);
  const main = overload === 0 ? layout.main : withOverload(layout.main, overload);
  const bytes = Buffer.allocUnsafe(Math.max(AT.options + sizeOf(main) + 1, MIN_MESSAGE)).fill(0);
  bytes.writeUInt8(packet.op, AT.op);
  bytes.writeUInt8(packet.htype, AT.htype);
  bytes.writeUInt8(packet.chaddr.length, AT.hlen);
  bytes.writeUInt8(packet.hops, AT.hops);
  bytes.writeUInt32BE(packet.xid, AT.xid);
  bytes.writeUInt16BE(packet.secs, AT.secs);
  bytes.writeUInt16BE(packet.flags, AT.flags);
  bytes.writeUInt32BE(ipv4ToNumber(packet.ciaddr), AT.ciaddr);
  bytes.writeUInt32BE(ipv4ToNumber(packet.yiaddr), AT.yiaddr);
  bytes.writeUInt32BE(ipv4ToNumber(packet.siaddr), AT.siaddr);
  bytes.writeUInt32BE(ipv4ToNumber(packet.giaddr), AT.giaddr);
  packet.chaddr.copy(bytes, AT.chaddr);
  if (overload & 2) writeOptions(bytes, AT.sname, layout.sname);
  else if (packet.sname !== '') writeText(bytes.subarray(AT.sname, AT.file), packet.sname, 'sname');
  if (overload & 1) writeOptions(bytes, AT.file, layout.file);
  else if (packet.file !== '') writeText(bytes.subarray(AT.file, AT.cookie), packet.file, 'file');
  if (packet.isBare !== true) {
    bytes.writeUInt32BE(MAGIC_COOKIE, AT.cookie);
    writeOptions(bytes, AT.options, main);
  }
  return bytes;
}

/** Whether `packet` can be written in `maxSize` bytes. */
export function fitsDhcp(packet: DhcpPacket, maxSize: number): boolean {
  return layOut(packet, maxSize) !== undefined;
}

function layOut({ options, sname, file, isBare }: DhcpPacket, maxSize: number): OptionLayout | undefined {
  if (isBare === true && options.length > 0)
    throw new DhcpError('BAD_OPTION', `${options.length} options for a client without the magic cookie.`);
  for (const { code } of options) {
    if (!Number.isInteger(code) || code <= PAD || code >= END || code === OVERLOAD) {
      throw new DhcpError('BAD_OPTION', `option ${code} cannot be written; codes are 1 to 254 without 52.`);
    }
  }
  return layOutOptions(options, {
    main: maxSize - AT.options,
    file: file === '' ? AT.cookie - AT.file : 0,
    sname: sname === '' ? AT.file - AT.sname : 0,
  });
}

/** Option 52 goes behind the message type, which clients expect first. */
function withOverload(main: readonly DhcpOption[], overload: number): readonly DhcpOption[] {
  return [...main.slice(0, 1), { code: OVERLOAD, data: Buffer.of(overload) }, ...main.slice(1)];
}

/** The options of one field up to its end option or, as some clients send it, its last byte. */
function readOptions(field: Buffer): DhcpOption[] {
  const options: DhcpOption[] = [];
  let at = 0;
  while (at < field.length) {
    const code = field.readUInt8(at);
    if (code === END) break;
    if (code === PAD) {
      at += 1;
      continue;
    }
    const length = at + 1 < field.length ? field.readUInt8(at + 1) : 0;
    const end = at + 2 + length;
    if (end > field.length) {
      throw new DhcpError(
        'BAD_OPTION',
        `option ${code} runs ${end - field.length} bytes past the end of its field.`,
      );
    }
    options.push({ code, data: field.subarray(at + 2, end) });
    at = end;
  }
  return options;
}

/** Option 52 (RFC 2132 §9.3): 1 = file, 2 = sname, 3 = both carry options; 0 when it is absent. */
function readOverload(options: readonly DhcpOption[]): number {
  const option = options.find(({ code }) => code === OVERLOAD);
  if (option === undefined) return 0;
  const value = option.data.length === 1 ? option.data.readUInt8(0) : 0;
  if (value < 1 || value > 3)
    throw new DhcpError('BAD_OPTION', 'option 52 (overload) is not one byte of 1, 2 or 3.');
  return value;
}

/** Options of the same code put together, at the place of the first (RFC 3396 §7). */
function joinOptions(options: readonly DhcpOption[]): readonly DhcpOption[] {
  if (!hasRepeats(options)) return options;
  const joined = new Map<number, Buffer[]>();
  for (const { code, data } of options) {
    const pieces = joined.get(code);
    if (pieces === undefined) joined.set(code, [data]);
    else pieces.push(data);
  }
  return [...joined].map(([code, pieces]) => ({ code, data: Buffer.concat(pieces) }));
}

function hasRepeats(options: readonly DhcpOption[]): boolean {
  const seen = new Uint8Array(END + 1);
  for (const { code } of options) {
    if (seen[code] !== 0) return true;
    seen[code] = 1;
  }
  return false;
}

/** Writes `options` and the end option. */
function writeOptions(bytes: Buffer, start: number, options: readonly DhcpOption[]): void {
  let at = start;
  for (const { code, data } of options) {
    for (let piece = 0; piece < piecesOf(data); piece += 1) {
      const from = piece * PIECE_BYTES;
      const length = Math.min(data.length - from, PIECE_BYTES);
      bytes[at] = code;
      bytes[at + 1] = length;
      for (let index = 0; index < length; index += 1) bytes[at + 2 + index] = data[from + index] ?? 0;
      at += 2 + length;
    }
  }
  bytes.writeUInt8(END, at);
}

function readText(field: Buffer): string {
  if (field[0] === 0) return '';
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end === -1 ? field.length : end);
}

function writeText(field: Buffer, text: string, name: string): void {
  if (text.length > field.length || /[^\x01-\xff]/.test(text)) {
    throw new DhcpError(
      'BAD_OPTION',
      `${name}: ${text.length} characters; at most ${field.length}, Latin-1 without NUL.`,
    );
  }
  field.write(text, 'latin1');
}
