import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { codeOf, messageOf } from '../../errors.js';
import { PxeError } from '../errors.js';
import { BROADCAST } from './ipv4.js';

/** Bytes of messages that may wait while the server is busy: a rack that powers on together asks together. */
const MESSAGE_BUFFER = 1024 * 1024;

/** How a message came: by limited broadcast, from any interface, or to one of our addresses. */
export type Arrival = { readonly kind: 'broadcast' } | { readonly kind: 'unicast'; readonly server: string };

export interface DhcpSockets {
  /** Sends `bytes` from `server`. A broadcast leaves by the interface that has that address, and by no other. */
  send(bytes: Buffer, server: string, address: string, port: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * One socket for what is broadcast, and one for each of `servers`, our addresses.
 *
 * Node cannot bind a socket to an interface, nor say which one a datagram came by. Two rules of Linux make up for it:
 * a socket bound to 255.255.255.255 gets broadcasts and nothing else, beside any other server on this machine; and a
 * broadcast from a socket bound to an address leaves by the interface that has the address (`ip_route_output_key`).
 * So whatever interface a request came by, an answer only ever leaves by one that is turned on.
 *
 * Throws PxeError PORT_IN_USE, NO_RIGHTS or NO_ADDRESS. `onError` gets what happens later; the sockets stay open.
 */
export async function openDhcpSockets(options: {
  readonly servers: readonly string[];
  readonly port: number;
  readonly onMessage: (bytes: Buffer, remote: RemoteInfo, arrival: Arrival) => void;
  readonly onError: (error: Error) => void;
}): Promise<DhcpSockets> {
  const unicast = new Map<string, Socket>();
  const opened: Socket[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  };
  const open = async (address: string, reuseAddr: boolean, arrival: Arrival): Promise<Socket> => {
    const socket = createSocket({ type: 'udp4', reuseAddr });
    await bind(socket, address, options.port);
    opened.push(socket);
    socket.on('error', options.onError);
    socket.on('message', (bytes, remote) => options.onMessage(bytes, remote, arrival));
    return socket;
  };
  try {
    for (const server of new Set(options.servers)) {
      const socket = await open(server, false, { kind: 'unicast', server });
      socket.setBroadcast(true);
      unicast.set(server, socket);
    }
    await open(BROADCAST, true, { kind: 'broadcast' });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    close,
    send: (bytes, server, address, port) =>
      new Promise((resolve, reject) => {
        const socket = unicast.get(server);
        if (socket === undefined) reject(new PxeError('NO_ADDRESS', `${server}: no socket is bound to it.`));
        else socket.send(bytes, port, address, (error) => (error === null ? resolve() : reject(error)));
      }),
  };
}

function bind(socket: Socket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(bindError(error, address, port));
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      socket.setRecvBufferSize(MESSAGE_BUFFER); // the kernel gives what net.core.rmem_max allows
      resolve();
    });
  });
}

function bindError(error: Error, address: string, port: number): PxeError {
  const where = `DHCP, ${address} port ${port}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new PxeError(
        'PORT_IN_USE',
        `${where}: another program has it. Find it with \`ss -lunp sport = :${port}\` and stop it, or turn this interface off in dhcp.interfaces.`,
        { cause: error },
      );
    case 'EACCES':
    case 'EPERM':
      return new PxeError(
        'NO_RIGHTS',
        `${where}: no right to use it. Run as root or with CAP_NET_BIND_SERVICE, or turn DHCP off in dhcp.interfaces.`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
      return new PxeError(
        'NO_ADDRESS',
        `${where}: this machine does not have the address. Correct "server" in dhcp.subnets.`,
        {
          cause: error,
        },
      );
    default:
      return new PxeError('SOCKET', `${where}: ${messageOf(error)}.`, { cause: error });
  }
}
