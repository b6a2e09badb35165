import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { limitFinWait, limitUnacknowledged } from '../../system/tcp-closing.js';
import { descriptorOf } from './socket-descriptor.js';

/**
 * Has the kernel forget connections that were closed, of clients that answer nothing for `ms` milliseconds. It goes on with
 * them for two minutes else, and a machine that was reset comes back sooner: GRUB begins at port 21550 each time, takes
 * the old connection’s answer for none, and gives up after half a minute, or for good.
 */
export function forgetLostClients(server: Server, ms: number): void {
  server.on('connection', (socket: Socket) => {
    const limit = (): void => {
      const fd = descriptorOf(socket);
      if (fd === undefined) return;
      limitFinWait(fd, Math.ceil(ms / 1000));
      limitUnacknowledged(fd, ms);
    };
    // Before Node closes it: the client has ended it, or was idle for too long.
    socket.prependListener('end', limit);
    socket.prependListener('timeout', limit);
  });
}
