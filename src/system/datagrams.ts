import { fromLibc } from './libc.js';
import { setSocketOption } from './socket-option.js';

const MSG_DONTWAIT = 0x40;
const SOL_UDP = 17;
const UDP_SEGMENT = 103; // linux/udp.h

/** The size of the largest address of a socket, sockaddr_in6, in bytes. */
export const ADDRESS_SIZE = 28;

/** Calls on a datagram socket, by its descriptor, that never wait. Each returns a negative errno when it fails. */
export interface DatagramCalls {
  /** Sends `bytes` to where the socket is connected to; returns how many bytes went. */
  send(descriptor: number, bytes: Uint8Array): number;
  /** Puts the next datagram into `into`, its sender's sockaddr into `sender`; returns its size, cut to fit. */
  receive(descriptor: number, into: Uint8Array, sender: Uint8Array): number;
  /** Has the kernel cut what is sent into datagrams of `size` bytes, the last perhaps shorter (udp(7), UDP_SEGMENT). */
  segment(descriptor: number, size: number): number;
  /** Puts the sockaddr that the socket is connected to into `peer`. */
  peer(descriptor: number, peer: Uint8Array): number;
}

/** What calls return when there is nothing to receive, or no room to send. */
export const EAGAIN = -11;

/** The calls, or undefined where the C library cannot be called. */
export const datagramCalls = fromLibc((library): DatagramCalls => {
  const send = library.declare<[number, Uint8Array, number, number], number>(
    'int64_t send(int descriptor, const uint8_t *bytes, size_t length, int flags)',
  );
  const receive = library.declare<
    [number, Uint8Array, number, number, Uint8Array, Uint32Array<ArrayBuffer>],
    number
  >(
    'int64_t recvfrom(int descriptor, uint8_t *into, size_t length, int flags, uint8_t *sender, uint32_t *senderSize)',
  );
  const setOption = setSocketOption();
  if (setOption === undefined) throw new Error('setsockopt cannot be called');
  const getPeer = library.declare<[number, Uint8Array, Uint32Array<ArrayBuffer>], number>(
    'int getpeername(int descriptor, uint8_t *peer, uint32_t *peerSize)',
  );
  const addressSize = new Uint32Array(1);
  const outcome = (result: number): number => (result < 0 ? -library.errno() : Number(result));
  return {
    send: (descriptor, bytes) => outcome(send(descriptor, bytes, bytes.length, MSG_DONTWAIT)),
    receive(descriptor, into, sender) {
      addressSize[0] = sender.length;
      return outcome(receive(descriptor, into, into.length, MSG_DONTWAIT, sender, addressSize));
    },
    segment: (descriptor, size) => setOption(descriptor, SOL_UDP, UDP_SEGMENT, size),
    peer(descriptor, peer) {
      addressSize[0] = peer.length;
      return outcome(getPeer(descriptor, peer, addressSize));
    },
  };
});
