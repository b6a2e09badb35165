import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  readonly name: string; // address and port
  readonly socket: Socket; // as it was accepted
  readonly responses: Set<ServerResponse>; // under way, or in line behind another on the same connection
}

/**
 * Keeps `server` to `limit` connections. Above it, the one that has waited longest for a request makes way for the new
 * one, so that a crowd of idle connections keeps nobody out; when all are at work, the new one is not taken. Every
 * response is closed with its connection, also one that was in line behind another, which Node leaves as it is.
 */
export function limitConnections(server: Server, limit: number): void {
  const open = new Map<string, Connection>(); // by name
  const idle = new Set<Connection>(); // the one that has waited longest first
  const ofSocket = new WeakMap<Socket, Connection>();

  server.on('connection', (socket: Socket) => {
    if (open.size >= limit) {
      const [longest] = idle;
      (longest?.socket ?? socket).destroy();
      if (longest === undefined) return;
      idle.delete(longest);
      open.delete(longest.name);
    }
    const name = nameOf(socket);
    const connection: Connection = { name, socket, responses: new Set() };
    open.set(name, connection);
    idle.add(connection);
    ofSocket.set(socket, connection);
    socket.once('close', () => {
      if (open.get(name) === connection) open.delete(name);
      idle.delete(connection);
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
    connection.responses.add(res);
    idle.delete(connection);
    res.once('close', () => {
      connection.responses.delete(res);
      if (connection.responses.size === 0 && !connection.socket.destroyed) idle.add(connection);
    });
  });
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
