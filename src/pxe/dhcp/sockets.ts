import { type Socket, type SocketOptions, createSocket } from 'node:dgram';
import { codeOf, messageOf } from '../../errors.js';
import {
  type DatagramBatch,
  type Outgoing,
  type Received,
  datagramBatch,
} from '../../system/datagram-batch.js';
import { descriptorOf } from '../../system/descriptor-of.js';
import { PxeError } from '../errors.js';
import { BROADCAST, ipv4ToNumber } from './ipv4.js';
import { MAX_MESSAGE } from './packet.js';
import { SERVER_PORT } from './reply.js';

/** Bytes of messages that may wait while the server is busy: a rack that powers on together asks together. */
const MESSAGE_BUFFER = 1024 * 1024;

/** Messages that are received or sent by one call of the kernel at most. */
const BATCH = 64;

/** Calls in a row for what waits at one socket: then it is the others' turn. */
const MOST_CALLS = 4;

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

/** Who sent a message. */
export interface Sender {
  readonly address: string;
  readonly port: number;
}

/** A message to be sent from one of the endpoints. */
export interface Mail {
  readonly bytes: Buffer;
  readonly from: Omit<Endpoint, 'shared'>;
  readonly to: Sender;
}

export interface DhcpSockets {
  /**
   * Sends `mails` in their order. A broadcast leaves by the interface that has its address, and by no other. What cannot
   * be sent goes to `onError`: PxeError NO_ADDRESS when it is from no endpoint.
   */
  readonly send: (mails: readonly Mail[]) => void;
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
  readonly onMessage: (bytes: Buffer, remote: Sender, arrival: Arrival) => void;
  readonly onError: (error: Error) => void;
}): Promise<DhcpSockets> {
  const unicast = new Map<string, Socket>();
  const batch = datagramBatch(BATCH, MAX_MESSAGE + 1); // what is too long is seen to be
  const opened: Socket[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  };
  const open = async ({ address, port, shared }: Endpoint, arrival: Arrival): Promise<Socket> => {
    const socket = createSocket({ type: 'udp4', reuseAddr: shared, lookup: asItIs });
    await bind(socket, { address, port, shared });
    opened.push(socket);
    socket.on('error', options.onError);
    socket.on('message', (bytes, remote) => {
      options.onMessage(bytes, remote, arrival);
      for (const more of waitingAt(socket, batch)) options.onMessage(more.bytes, more, arrival);
    });
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
    send(mails) {
      for (const group of bySource(mails)) {
        const key = keyOf(group.from);
        const socket = unicast.get(key);
        if (socket !== undefined) sendAll(socket, group.mails, batch, options.onError);
        else options.onError(new PxeError('NO_ADDRESS', `${key}: no socket is bound to it.`));
      }
    },
  };
}

/** What waits at `socket` behind a message that Node has read: Node reads one by one, with 64 KiB for each. */
function* waitingAt(socket: Socket, batch: DatagramBatch | undefined): Generator<Received> {
  for (let calls = 0; batch !== undefined && calls < MOST_CALLS; calls += 1) {
    const descriptor = descriptorOf(socket);
    if (descriptor === undefined) return;
    const received = batch.receive(descriptor);
    yield* received;
    if (received.length < BATCH) return;
  }
}

/** `mails` in runs of the same endpoint. */
function* bySource(
  mails: readonly Mail[],
): Generator<{ readonly from: Mail['from']; readonly mails: readonly Mail[] }> {
  for (let start = 0, end = 0; start < mails.length; start = end) {
    const from = mails[start]?.from;
    if (from === undefined) return;
    while (mails[end]?.from.address === from.address && mails[end]?.from.port === from.port) end += 1;
    yield { from, mails: mails.slice(start, end) };
  }
}

/** Sends `mails` by few calls of the kernel; one that it does not take this way goes Node's way, which waits for room. */
function sendAll(
  socket: Socket,
  mails: readonly Mail[],
  batch: DatagramBatch | undefined,
  onError: (error: Error) => void,
): void {
  const report = (error: Error | null): void => {
    if (error !== null) onError(error);
  };
  const descriptor = descriptorOf(socket);
  for (let done = 0; done < mails.length;) {
    const part = mails.slice(done, done + BATCH);
    const sent =
      batch === undefined || descriptor === undefined ? 0 : batch.send(descriptor, part.map(outgoingOf));
    done += sent;
    const next = part[sent];
    if (next === undefined) continue;
    socket.send(next.bytes, next.to.port, next.to.address, report);
    done += 1;
  }
}

function outgoingOf({ bytes, to: { address, port } }: Mail): Outgoing {
  return { bytes, address: ipv4ToNumber(address), port };
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
