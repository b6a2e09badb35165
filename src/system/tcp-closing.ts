import { setSocketOption } from './socket-option.js';

const IPPROTO_TCP = 6;
const TCP_LINGER2 = 8; // linux/tcp.h, as the next
const TCP_USER_TIMEOUT = 18;

/** For how long the kernel waits for the FIN of a client that has acknowledged ours, in seconds: tcp(7), TCP_LINGER2. */
export function limitFinWait(descriptor: number, seconds: number): void {
  setSocketOption()?.(descriptor, IPPROTO_TCP, TCP_LINGER2, seconds);
}

/** For how long the kernel sends to a client that takes and acknowledges nothing, in milliseconds: tcp(7), TCP_USER_TIMEOUT. */
export function limitUnacknowledged(descriptor: number, ms: number): void {
  setSocketOption()?.(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
}
