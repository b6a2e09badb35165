import { TftpError } from './errors.js';

/** Opcodes (RFC 1350 §5, RFC 2347). */
const RRQ = 1;
const WRQ = 2;
const DATA = 3;
const ACK = 4;
const ERROR = 5;
const OACK = 6;

/** Bytes before the payload of a DATA packet. */
export const DATA_HEADER = 4;

/** The longest request read, in bytes: RFC 2347 allows 512; a little more is taken from clients with long paths. */
export const MAX_REQUEST = 1468;

/** The most options read in one request or OACK; known are five. */
export const MAX_OPTIONS = 32;

/** Error codes (RFC 1350 §5, RFC 2347). */
export const TFTP_ERROR = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  illegalOperation: 4,
  unknownTransfer: 5,
  optionRefused: 8,
} as const;

/** How the bytes of a file travel; `mail` is obsolete and refused. */
export type TftpMode = 'octet' | 'netascii';

/** A request. The file name is bytes as text in Latin-1: path.ts turns it into a path. Option names are lower case. */
export interface TftpRequest {
  readonly kind: 'rrq' | 'wrq';
  readonly filename: string;
  readonly mode: TftpMode;
  readonly options: ReadonlyMap<string, string>;
}

export type TftpPacket =
  | TftpRequest
  | { readonly kind: 'data'; readonly block: number; readonly data: Buffer }
  | { readonly kind: 'ack'; readonly block: number }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'oack'; readonly options: ReadonlyMap<string, string> };

/** The packet in `bytes`. Throws TftpError. A `data` payload is a view of `bytes`. */
export function decodeTftp(bytes: Buffer): TftpPacket {
  if (bytes.length < 2) throw new TftpError('TRUNCATED', `${bytes.length} bytes; a packet has at least 2.`);
  const opcode = bytes.readUInt16BE(0);
  switch (opcode) {
    case RRQ:
    case WRQ:
      return readRequest(opcode === RRQ ? 'rrq' : 'wrq', bytes);
    case DATA:
      needFour(bytes);
      return { kind: 'data', block: bytes.readUInt16BE(2), data: bytes.subarray(DATA_HEADER) };
    case ACK:
      needFour(bytes);
      return { kind: 'ack', block: bytes.readUInt16BE(2) };
    case ERROR:
      needFour(bytes);
      return { kind: 'error', code: bytes.readUInt16BE(2), message: readMessage(bytes) };
    case OACK:
      return { kind: 'oack', options: readOptions(readStrings(bytes)) };
    default:
      throw new TftpError('BAD_OPCODE', `opcode ${opcode}; TFTP has 1 to 6.`);
  }
}

/** The bytes of `packet`. Throws TftpError BAD_STRING when a string holds NUL or is not Latin-1. */
export function encodeTftp(packet: TftpPacket): Buffer {
  switch (packet.kind) {
    case 'rrq':
    case 'wrq':
      return joinStrings(packet.kind === 'rrq' ? RRQ : WRQ, [
        packet.filename,
        packet.mode,
        ...flat(packet.options),
      ]);
    case 'data':
      return Buffer.concat([header(DATA, packet.block), packet.data]);
    case 'ack':
      return header(ACK, packet.block);
    case 'error':
      return Buffer.concat([header(ERROR, packet.code), stringBytes(packet.message)]);
    case 'oack':
      return joinStrings(OACK, flat(packet.options));
  }
}

/** Writes the header of DATA block `block` (modulo 65536) at `offset` of `into`. */
export function writeDataHeader(into: Buffer, offset: number, block: number): void {
  into.writeUInt16BE(DATA, offset);
  into.writeUInt16BE(block & 0xffff, offset + 2);
}

function readRequest(kind: 'rrq' | 'wrq', bytes: Buffer): TftpRequest {
  const [filename, mode, ...rest] = readStrings(bytes);
  if (filename === undefined || mode === undefined) {
    throw new TftpError('BAD_STRING', 'the request lacks a file name or a mode.');
  }
  const known = mode.toLowerCase();
  if (known !== 'octet' && known !== 'netascii') {
    throw new TftpError('BAD_MODE', 'the mode is neither octet nor netascii.');
  }
  return { kind, filename, mode: known, options: readOptions(rest) };
}

/** The NUL-terminated strings after the opcode; the last must be terminated too. */
function readStrings(bytes: Buffer): string[] {
  if (bytes.length > MAX_REQUEST) {
    throw new TftpError('TOO_LONG', `${bytes.length} bytes of strings; at most ${MAX_REQUEST} are read.`);
  }
  if (bytes.length > 2 && bytes.readUInt8(bytes.length - 1) !== 0) {
    throw new TftpError('BAD_STRING', 'the last string is not terminated.');
  }
  return bytes.length === 2 ? [] : bytes.toString('latin1', 2, bytes.length - 1).split('\0');
}

/** Options as name and value in turn (RFC 2347); of a name that occurs twice, the first counts. */
function readOptions(strings: readonly string[]): ReadonlyMap<string, string> {
  if (strings.length % 2 !== 0) throw new TftpError('BAD_OPTION', 'the last option has no value.');
  if (strings.length > MAX_OPTIONS * 2)
    throw new TftpError('BAD_OPTION', `more than ${MAX_OPTIONS} options.`);
  const options = new Map<string, string>();
  for (let at = 0; at < strings.length; at += 2) {
    const name = (strings[at] ?? '').toLowerCase();
    if (!options.has(name)) options.set(name, strings[at + 1] ?? '');
  }
  return options;
}

/** The text of an ERROR for logs: to the first NUL or the end, printable ASCII, at most 200 characters. */
function readMessage(bytes: Buffer): string {
  const text = bytes.toString('latin1', 4, Math.min(bytes.length, 204));
  return text.replace(/\0.*$/s, '').replace(/[^\x20-\x7e]/g, '?');
}

function needFour(bytes: Buffer): void {
  if (bytes.length < 4)
    throw new TftpError('TRUNCATED', `${bytes.length} bytes; this packet has at least 4.`);
}

function flat(options: ReadonlyMap<string, string>): string[] {
  return [...options].flat();
}

function header(opcode: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(opcode, 0);
  bytes.writeUInt16BE(value & 0xffff, 2);
  return bytes;
}

function joinStrings(opcode: number, strings: readonly string[]): Buffer {
  return Buffer.concat([header(opcode, 0).subarray(0, 2), ...strings.map(stringBytes)]);
}

function stringBytes(text: string): Buffer {
  if (/[^\x01-\xff]/.test(text)) throw new TftpError('BAD_STRING', 'a string holds NUL or is not Latin-1.');
  return Buffer.from(`${text}\0`, 'latin1');
}
