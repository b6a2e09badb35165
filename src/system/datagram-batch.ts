import { endianness } from 'node:os';
import { fromLibc } from './libc.js';

const AF_INET = 2;
const MSG_DONTWAIT = 0x40;

/** Where the fields of the kernel's structures lie, in bytes, on the 64-bit machines that are called here. */
const NAME_BYTES = 16; // struct sockaddr_in: family, port (network order), address (network order), padding
const IOVEC_BYTES = 16; // struct iovec: base, length
const MESSAGE_BYTES = 64; // struct mmsghdr: struct msghdr, and then how many bytes of it there were
const MESSAGE = { name: 0, nameLength: 8, parts: 16, partCount: 24, control: 32, flags: 48, length: 56 };

/** An IPv4 datagram that was received. */
export interface Received {
  readonly bytes: Buffer; // its own, cut to what the batch holds
  readonly address: string; // dotted: who sent it
  readonly port: number;
}

/** An IPv4 datagram to be sent. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  readonly address: number; // where to: unsigned 32-bit
  readonly port: number;
}

type Call = (socket: number, messages: Uint8Array, count: number, flags: number) => number;

/** Many IPv4 datagrams by one call of the kernel (recvmmsg(2), sendmmsg(2)), through memory of its own. Never waits. */
export interface DatagramBatch {
  /** What waits at the descriptor `socket`: at most as many as the batch holds; none also when they cannot be had. */
  receive(socket: number): readonly Received[];
  /** Sends the first of `datagrams`; gives how many, 0 when the socket takes none or refuses the first. */
  send(socket: number, datagrams: readonly Outgoing[]): number;
}

const batchCalls = fromLibc((c) => ({
  sendAll: c.declare<Parameters<Call>, number>(
    'int sendmmsg(int socket, uint8_t *messages, unsigned int count, int flags)',
  ),
  receiveAll: c.declare<[...Parameters<Call>, null], number>(
    'int recvmmsg(int socket, uint8_t *messages, unsigned int count, int flags, void *timeout)',
  ),
  addressOf: (bytes: Buffer) => c.koffi.address(bytes),
}));

/** Room for `count` datagrams of `size` bytes each; undefined where the kernel cannot be called. */
export function datagramBatch(count: number, size: number): DatagramBatch | undefined {
  const calls = batchCalls();
  if (calls === undefined || endianness() !== 'LE' || !['x64', 'arm64'].includes(process.arch))
    return undefined;
  const { sendAll, receiveAll, addressOf } = calls;
  const room = new Room(count, size, addressOf);
  return {
    receive(socket) {
      room.empty();
      const got = receiveAll(socket, room.messages, count, MSG_DONTWAIT, null);
      return got > 0 ? room.take(got) : [];
    },
    send(socket, datagrams) {
      const filled = room.fill(datagrams);
      return filled === 0 ? 0 : Math.max(0, sendAll(socket, room.messages, filled, MSG_DONTWAIT));
    },
  };
}

/** The structures of `count` datagrams, which point at each other; memory that is not of the JavaScript heap never moves. */
class Room {
  readonly messages: Buffer;
  readonly #parts: Buffer;
  readonly #names: Buffer;
  readonly #data: Buffer;
  readonly #count: number;
  readonly #size: number;
  #lastSender = { value: -1, text: '' };

  constructor(count: number, size: number, addressOf: (bytes: Buffer) => bigint) {
    this.#count = count;
    this.#size = size;
    this.messages = Buffer.allocUnsafeSlow(count * MESSAGE_BYTES).fill(0);
    this.#parts = Buffer.allocUnsafeSlow(count * IOVEC_BYTES).fill(0);
    this.#names = Buffer.allocUnsafeSlow(count * NAME_BYTES).fill(0);
    this.#data = Buffer.allocUnsafeSlow(count * size);
    const [parts, names, data] = [addressOf(this.#parts), addressOf(this.#names), addressOf(this.#data)];
    for (let index = 0; index < count; index += 1) {
      const at = index * MESSAGE_BYTES;
      this.messages.writeBigUInt64LE(names + BigInt(index * NAME_BYTES), at + MESSAGE.name);
      this.messages.writeBigUInt64LE(parts + BigInt(index * IOVEC_BYTES), at + MESSAGE.parts);
      this.messages.writeUInt32LE(1, at + MESSAGE.partCount);
      this.#parts.writeBigUInt64LE(data + BigInt(index * size), index * IOVEC_BYTES);
    }
  }

  /** Makes all of it ready for what comes. */
  empty(): void {
    for (let index = 0; index < this.#count; index += 1) this.#setUp(index, this.#size);
  }

  /** The first `count` datagrams that came; one that cannot be from an IPv4 address is left out. */
  take(count: number): readonly Received[] {
    const sizes = Array.from({ length: count }, (_, index) =>
      Math.min(this.messages.readUInt32LE(index * MESSAGE_BYTES + MESSAGE.length), this.#size),
    );
    const all = Buffer.allocUnsafeSlow(sizes.reduce((sum, size) => sum + size, 0));
    const received: Received[] = [];
    let start = 0;
    for (const [index, size] of sizes.entries()) {
      const from = index * this.#size;
      this.#data.copy(all, start, from, from + size);
      const name = index * NAME_BYTES;
      if (this.#names.readUInt16LE(name) === AF_INET) {
        received.push({
          bytes: all.subarray(start, start + size),
          address: this.#textOf(this.#names.readUInt32BE(name + 4)),
          port: this.#names.readUInt16BE(name + 2),
        });
      }
      start += size;
    }
    return received;
  }

  /** Puts the first of `datagrams` in, up to one that is too large; gives how many. */
  fill(datagrams: readonly Outgoing[]): number {
    const count = Math.min(this.#count, datagrams.length);
    for (let index = 0; index < count; index += 1) {
      const datagram = datagrams[index];
      if (datagram === undefined || datagram.bytes.length > this.#size) return index;
      this.#data.set(datagram.bytes, index * this.#size);
      this.#setUp(index, datagram.bytes.length);
      const name = index * NAME_BYTES;
      this.#names.writeUInt16LE(AF_INET, name);
      this.#names.writeUInt16BE(datagram.port, name + 2);
      this.#names.writeUInt32BE(datagram.address, name + 4);
    }
    return count;
  }

  #setUp(index: number, size: number): void {
    this.messages.writeUInt32LE(NAME_BYTES, index * MESSAGE_BYTES + MESSAGE.nameLength);
    this.messages.writeUInt32LE(0, index * MESSAGE_BYTES + MESSAGE.flags);
    this.#parts.writeUInt32LE(size, index * IOVEC_BYTES + 8);
  }

  /** `value` as a dotted address; a relay sends many messages in a row. */
  #textOf(value: number): string {
    if (value !== this.#lastSender.value) {
      const text = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.');
      this.#lastSender = { value, text };
    }
    return this.#lastSender.text;
  }
}
