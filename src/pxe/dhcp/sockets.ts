import { type RemoteInfo, type Socket, type SocketOptions, createSocket } from 'node:dgram';
import { codeOf, messageOf } from '../../errors.js';
import { PxeError } from '../errors.js';
import { BROADCAST } from './ipv4.js';
import { SERVER_PORT } from './reply.js';

/** Bytes of messages that may wait while the server is busy: a rack that powers on together asks together. */
const MESSAGE_BUFFER = 1024 * 1024;

/** How a message came: by limited broadcast, from any interface, or to one of our addresses. */
export type Arrival =
  | { readonly kind: 'broadcast' }
  | { readonly kind: 'unicast'; readonly server: string; readonly port: number };

/**
 * An address and port of ours. A shared one may be bound beside a socket of another program that is bound to all
 * addresses: each gets what is sent to its own.
 */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly shared: boolean;
}

export interface DhcpSockets {
  /**
   * Sends `bytes` from one of the endpoints. A broadcast leaves by the interface that has its address, and by no other.
   * Throws PxeError NO_ADDRESS when `from` is no endpoint; what fails later goes to `onError`.
   */
  readonly send: (
    bytes: Buffer,
    from: Omit<Endpoint, 'shared'>,
    to: { address: string; port: number },
  ) => void;
  close(): Promise<void>;
}

/**
 * One socket for what is broadcast to port 67, and one for each of `endpoints`.
 *
 * Node cannot bind a socket to an interface, nor say which one a datagram came by. Two rules of Linux make up for it:
 * a socket bound to 255.255.255.255 gets broadcasts and nothing else, beside any other server on this machine; and a
 * broadcast from a socket bound to an address leaves by the interface that has the address (`ip_route_output_key`).
 * So whatever interface a request came by, an answer only ever leaves by one that is turned on.
 *
 * Throws PxeError PORT_IN_USE, NO_RIGHTS or NO_ADDRESS. `onError` gets what happens later; the sockets stay open.
 */
export async function openDhcpSockets(options: {
  readonly endpoints: readonly Endpoint[];
  readonly onMessage: (bytes: Buffer, remote: RemoteInfo, arrival: Arrival) => void;
  readonly onError: (error: Error) => void;
}): Promise<DhcpSockets> {
  const unicast = new Map<string, Socket>();
  const opened: Socket[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  };
  const open = async ({ address, port, shared }: Endpoint, arrival: Arrival): Promise<Socket> => {
    const socket = createSocket({ type: 'udp4', reuseAddr: shared, lookup: asItIs });
    await bind(socket, { address, port, shared });
    opened.push(socket);
    socket.on('error', options.onError);
    socket.on('message', (bytes, remote) => options.onMessage(bytes, remote, arrival));
    return socket;
  };
  try {
    for (const endpoint of options.endpoints) {
      if (unicast.has(keyOf(endpoint))) continue;
      const { address, port } = endpoint;
      const socket = await open(endpoint, { kind: 'unicast', server: address, port });
      socket.setBroadcast(true);
      unicast.set(keyOf(endpoint), socket);
    }
    await open({ address: BROADCAST, port: SERVER_PORT, shared: true }, { kind: 'broadcast' });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    close,
    send(bytes, from, { address, port }) {
      const socket = unicast.get(keyOf(from));
      if (socket === undefined) throw new PxeError('NO_ADDRESS', `${keyOf(from)}: no socket is bound to it.`);
      socket.send(bytes, port, address, (error) => {
        if (error !== null) options.onError(error);
      });
    },
  };
}

/** Addresses are numbers here: nothing is looked up. */
const asItIs: SocketOptions['lookup'] = (address, _options, callback) => callback(null, address, 4);

function keyOf({ address, port }: Omit<Endpoint, 'shared'>): string {
  return `${address}:${port}`;
}

function bind(socket: Socket, endpoint: Endpoint): Promise<void> {
  const { address, port } = endpoint;
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(bindError(error, endpoint));
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      socket.setRecvBufferSize(MESSAGE_BUFFER); // the kernel gives what net.core.rmem_max allows
      resolve();
    });
  });
}

function bindError(error: Error, { address, port, shared }: Endpoint): PxeError {
  const where = `DHCP, ${address} port ${port}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new PxeError(
        'PORT_IN_USE',
        `${where}: another program has it. Find it with \`ss -lunp sport = :${port}\` and ${
          shared ? 'have it share the port (dnsmasq: bind-dynamic)' : 'stop it'
        }, or turn this interface off in dhcp.interfaces.`,
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
