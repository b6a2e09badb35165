import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { limitFinWait, limitUnacknowledged } from '../../system/tcp-closing.js';
import { descriptorOf } from './socket-descriptor.js';

/** How long the kernel goes on with a connection after its end, for a client that answers nothing. */
const FIN_WAIT = 5; // seconds
const AFTER_ITS_END = 10_000; // milliseconds: it has said that it sends no more
const AFTER_OURS = 15_000; // it may still read what it was sent

/**
 * Has the kernel forget the connections of clients that are gone. It goes on with them for two minutes else, and a machine that
 * was reset comes back sooner: GRUB begins at port 21550 each time, takes the old connection’s answer for none, and
 * gives up after half a minute, or for good.
 */
export function forgetLostClients(server: Server): void {
  server.on('connection', (socket: Socket) => {
    const limit = (ms: number) => () => {
      const fd = descriptorOf(socket);
      if (fd !== undefined) limitUnacknowledged(fd, ms);
    };
    const fd = descriptorOf(socket);
    if (fd !== undefined) limitFinWait(fd, FIN_WAIT);
    // Before Node closes it.
    socket.prependListener('end', limit(AFTER_ITS_END));
    socket.prependListener('timeout', limit(AFTER_OURS));
  });
}
