import type { Socket } from 'node:dgram';
import { endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { ADDRESS_SIZE, type DatagramCalls, EAGAIN, datagramCalls } from '../../system/datagrams.js';
import { descriptorOf } from '../../system/descriptor-of.js';

/** No packet but DATA is larger, in bytes: smaller ones than this are not cut, as the kernel would cut all alike. */
const LEAST_CUT = 512;

/**
 * What the kernel cuts at once, at most: in packets, so that the client takes the first ones while the next are sent (the
 * kernel would cut 64: UDP_MAX_SEGMENTS of Linux 4.18), and in bytes of one datagram.
 */
const MOST_PACKETS = 4;
const MOST_BYTES = 65_000;

/** How the kernel says that it will not cut: no room in the wire's packets, none that sums them, too old for it. */
const REFUSALS: ReadonlySet<string> = new Set(['EINVAL', 'EIO', 'EMSGSIZE', 'ENOPROTOOPT', 'ENOTSUP']);

/** Where a sockaddr_in and a sockaddr_in6 have their family, port and address. */
const AF_INET = 2;
const IPV4_PARTS = [[0, 8]] as const;
const IPV6_PARTS = [
  [0, 4],
  [8, 24],
] as const;

/** What a datagram is received into; each is dealt with before the next one is asked for. */
const INTO = Buffer.allocUnsafeSlow(65_536);
const SENDER = Buffer.alloc(ADDRESS_SIZE);

/**
 * A connected socket past Node's way to it, which costs more than the calls themselves: a packet is sent by one call,
 * several by one as well, which the kernel or the network card cuts (UDP_SEGMENT), and what has come can be asked for.
 */
export class DirectSocket {
  readonly #calls: DatagramCalls;
  readonly #descriptor: number;
  readonly #peer: Buffer; // sockaddr
  readonly #onError: (error: Error) => void;
  #cut: 'untried' | 'refused' | number = 'untried'; // the size of packets that is cut to

  private constructor(
    calls: DatagramCalls,
    descriptor: number,
    peer: Buffer,
    onError: (error: Error) => void,
  ) {
    this.#calls = calls;
    this.#descriptor = descriptor;
    this.#peer = peer;
    this.#onError = onError;
  }

  /**
   * `socket`, until it is closed; undefined where that cannot be. Errors are told as the socket itself would tell them,
   * later.
   */
  static of(
    socket: Socket,
    onError: (error: Error) => void,
    calls = datagramCalls(),
  ): DirectSocket | undefined {
    const descriptor = descriptorOf(socket);
    if (calls === undefined || descriptor === undefined) return undefined;
    const peer = Buffer.alloc(ADDRESS_SIZE);
    if (calls.peer(descriptor, peer) < 0) return undefined;
    return new DirectSocket(calls, descriptor, peer, onError);
  }

  /** Sends one packet; false when it has to be sent in another way, as there is no room just now. */
  send(bytes: Buffer): boolean {
    let outcome = this.#calls.send(this.#descriptor, bytes);
    // The kernel looks at the size that is cut to, whatever the packet's own.
    if (outcome < 0 && this.stopsCutting(getSystemErrorName(outcome)))
      outcome = this.#calls.send(this.#descriptor, bytes);
    if (outcome === EAGAIN) return false;
    if (outcome < 0) this.#fail('send', outcome);
    return true;
  }

  /** Sends `bytes` as packets of `size`, the last perhaps shorter; returns how many bytes of them went. */
  sendRun(bytes: Buffer, size: number): number {
    if (!this.#cuts(size)) return 0;
    const most = Math.min(MOST_PACKETS, Math.floor(MOST_BYTES / size)) * size;
    for (let at = 0; at < bytes.length; at += most) {
      const outcome = this.#calls.send(this.#descriptor, bytes.subarray(at, at + most));
      if (outcome >= 0) continue;
      // Larger than the wire takes, or a wire that cannot be cut for: packet by packet, what is the matter shows.
      if (outcome !== EAGAIN) this.#stopCutting();
      return at;
    }
    return bytes.length;
  }

  /** Whether a packet failed with `code` because packets are cut: then none is from now on. */
  stopsCutting(code: string): boolean {
    return typeof this.#cut === 'number' && REFUSALS.has(code) && this.#stopCutting();
  }

  /** The next packet that has come from the client, valid until the next call; undefined when there is none. */
  receive(): Buffer | undefined {
    const size = this.#calls.receive(this.#descriptor, INTO, SENDER);
    if (size >= 0) return this.#isFromPeer() ? INTO.subarray(0, size) : undefined;
    if (size !== EAGAIN) this.#fail('recvmsg', size);
    return undefined;
  }

  /** Whether the kernel cuts what is sent into packets of `size` bytes. A transfer has but one size. */
  #cuts(size: number): boolean {
    if (this.#cut === 'untried') {
      const isTaken =
        size >= LEAST_CUT && 2 * size <= MOST_BYTES && this.#calls.segment(this.#descriptor, size) === 0;
      this.#cut = isTaken ? size : 'refused';
    }
    return this.#cut === size;
  }

  #stopCutting(): boolean {
    this.#cut = 'refused';
    return this.#calls.segment(this.#descriptor, 0) === 0;
  }

  /** Before it was connected the socket took datagrams from anybody. */
  #isFromPeer(): boolean {
    const parts = familyOf(SENDER) === AF_INET ? IPV4_PARTS : IPV6_PARTS;
    return parts.every(([start, end]) => SENDER.compare(this.#peer, start, end, start, end) === 0);
  }

  #fail(call: string, outcome: number): void {
    const code = getSystemErrorName(outcome);
    const error = Object.assign(new Error(`${call} ${code}`), { code });
    process.nextTick(() => this.#onError(error));
  }
}

/** The family of a sockaddr, in the processor's own order of bytes. */
function familyOf(address: Buffer): number {
  return endianness() === 'LE' ? address.readUInt16LE(0) : address.readUInt16BE(0);
}
