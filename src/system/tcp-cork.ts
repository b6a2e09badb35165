import { setSocketOption } from './socket-option.js';

const IPPROTO_TCP = 6;
const TCP_CORK = 3; // linux/tcp.h

/**
 * Has a TCP socket, by its descriptor, send nothing but full packets until it is told otherwise, when the rest goes out; tcp(7),
 * TCP_CORK. A socket that refuses sends as before, as all do where the C library cannot be called.
 */
export function corkTcp(descriptor: number, isCorked: boolean): void {
  setSocketOption()?.(descriptor, IPPROTO_TCP, TCP_CORK, isCorked ? 1 : 0);
}
