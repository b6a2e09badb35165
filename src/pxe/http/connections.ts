import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { handedBytes } from './direct-send.js';

/** How many connections there are, and for how long one may make no headway. */
export interface ConnectionLimits {
  readonly connections: number; // at one time
  readonly perClient: number; // of one address
  readonly slowMs: number; // in which a client with a response under way takes what was handed over
  readonly proxies: readonly string[]; // addresses that perClient does not count for
}

interface Connection {
  readonly name: string; // address and port
  readonly client: string; // address
  readonly socket: Socket; // as it was accepted
  readonly responses: Set<ServerResponse>; // under way, or in line behind another on the same connection
  handed: number; // bytes, when it was last looked at
  looks: number; // that found nothing more handed over, while a response was under way
}

/** How often a reader is looked at in the time that it may take: a server that was busy itself cuts nobody off. */
const LOOKS = 4;

/**
 * Keeps `server` to `limits`. Above them, the one that has waited longest for a request makes way for the new one (of the
 * same address, where it has too many), so that a crowd of idle connections keeps nobody out; when all are at work, the
 * new one is not taken. A client that takes too long for what was handed over is cut off. Every response is closed with
 * its connection, also one that was in line behind another, which Node leaves as it is.
 */
export function limitConnections(server: Server, limits: ConnectionLimits): void {
  const open = new Map<string, Connection>(); // by name
  const ofClient = new Map<string, Set<Connection>>(); // the oldest first
  const idle = new Set<Connection>(); // the one that has waited longest first
  const ofSocket = new WeakMap<Socket, Connection>();
  const proxies = new Set(limits.proxies);

  const forget = (connection: Connection): void => {
    if (open.get(connection.name) === connection) open.delete(connection.name);
    idle.delete(connection);
    const own = ofClient.get(connection.client);
    own?.delete(connection);
    if (own?.size === 0) ofClient.delete(connection.client);
  };

  /** Makes room for one more connection of `client`; false when there is none to be made. */
  const makeRoom = (client: string): boolean => {
    const own = ofClient.get(client);
    const isCrowding = own !== undefined && own.size >= limits.perClient && !proxies.has(client);
    if (!isCrowding && open.size < limits.connections) return true;
    const longest = isCrowding ? [...own].find((each) => idle.has(each)) : idle.values().next().value;
    if (longest === undefined) return false;
    longest.socket.destroy();
    forget(longest);
    return true;
  };

  server.on('connection', (socket: Socket) => {
    const client = clientOf(socket);
    if (!makeRoom(client)) {
      socket.destroy();
      return;
    }
    const name = nameOf(socket);
    const connection: Connection = {
      ...{ name, client, socket, responses: new Set<ServerResponse>() },
      ...{ handed: 0, looks: 0 },
    };
    open.set(name, connection);
    idle.add(connection);
    const own = ofClient.get(client) ?? new Set();
    ofClient.set(client, own.add(connection));
    ofSocket.set(socket, connection);
    socket.once('close', () => {
      forget(connection);
      setImmediate(() => closeAll(connection.responses)); // once Node has closed the one it would
    });
  });

  server.on('secureConnection', (socket: Socket) => {
    const connection = open.get(nameOf(socket));
    if (connection !== undefined) ofSocket.set(socket, connection);
  });

  // Prepended: what answers a request may end it at once.
  server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => {
    const connection = ofSocket.get(req.socket);
    if (connection === undefined) return;
    if (connection.responses.size === 0) connection.looks = 0;
    connection.responses.add(res);
    idle.delete(connection);
    res.once('close', () => {
      connection.responses.delete(res);
      if (connection.responses.size === 0 && !connection.socket.destroyed) idle.add(connection);
    });
  });

  const sweep = setInterval(() => {
    for (const connection of open.values()) {
      const { socket, responses } = connection;
      const handed = handedBytes(socket);
      if (handed !== connection.handed || responses.size === 0) {
        connection.handed = handed;
        connection.looks = 0;
      } else if (++connection.looks > LOOKS) {
        socket.destroy();
      }
    }
  }, limits.slowMs / LOOKS);
  sweep.unref();
  server.once('close', () => clearInterval(sweep));
}

function closeAll(responses: ReadonlySet<ServerResponse>): void {
  for (const response of [...responses]) {
    response.destroy();
    response.emit('close');
  }
}

/** Names a connection, whether `socket` is the one that was accepted or speaks TLS over it. */
function nameOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`;
}

function clientOf({ remoteAddress = '' }: Socket): string {
  return remoteAddress.replace(/^::ffff:/, '');
}
