import { type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { codeOf, messageOf } from '../../errors.js';
import { PxeError } from '../errors.js';

/** Bytes of requests that may wait while the server is busy: a rack that powers on together asks together. */
const REQUEST_BUFFER = 1024 * 1024;

/** A UDP socket for `host`, not yet bound. Addresses are given to it as numbers, so that no packet waits for a look-up. */
export function createUdp(host: string): Socket {
  const type = isIPv6(host) ? 'udp6' : 'udp4';
  return createSocket({
    type,
    lookup: (address, _options, done) => done(null, address, type === 'udp6' ? 6 : 4),
  });
}

/** Binds the server's socket. Throws PxeError PORT_IN_USE, NO_RIGHTS or NO_ADDRESS when it cannot. */
export async function bindServer(socket: Socket, host: string, port: number): Promise<void> {
  try {
    await bindSocket(socket, host, port);
  } catch (error) {
    throw listenError(error, host, port);
  }
  socket.setRecvBufferSize(REQUEST_BUFFER); // the kernel gives what net.core.rmem_max allows
}

/** Binds `socket` to `port` of `host`, or closes it and throws what the system said. */
export function bindSocket(socket: Socket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve();
    });
  });
}

/** Closes `socket`; resolves when it is. */
export function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

function listenError(error: unknown, host: string, port: number): PxeError {
  const where = `TFTP, ${host} port ${port}`;
  const cause = { cause: error };
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new PxeError(
        'PORT_IN_USE',
        `${where}: another program has it. Find it with \`ss -lunp sport = :${port}\` and stop it, or change tftp.listen.`,
        cause,
      );
    case 'EACCES':
    case 'EPERM':
      return new PxeError(
        'NO_RIGHTS',
        `${where}: no right to use it. Run as root or with CAP_NET_BIND_SERVICE, or change tftp.listen.`,
        cause,
      );
    case 'EADDRNOTAVAIL':
      return new PxeError(
        'NO_ADDRESS',
        `${where}: this machine does not have the address. Correct tftp.listen.`,
        cause,
      );
    default:
      return new PxeError('SOCKET', `${where}: ${messageOf(error)}.`, cause);
  }
}
