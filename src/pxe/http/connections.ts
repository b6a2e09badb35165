import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  readonly name: string;
  readonly socket: Socket;
  requests: number; // being answered
}

/**
 * Keeps `server` to `limit` connections. Above it, the one that has waited longest for a request makes way for the new
 * one, so that a crowd of idle connections keeps nobody out; when all are at work, the new one is not taken.
 */
export function limitConnections(server: Server, limit: number): void {
  const open = new Map<string, Connection>();
  const idle = new Set<Connection>(); // the one that has waited longest first
  const forget = (connection: Connection): void => {
    if (open.get(connection.name) === connection) open.delete(connection.name);
    idle.delete(connection);
  };
  server.on('connection', (socket: Socket) => {
    if (open.size >= limit) {
      const [longest] = idle;
      (longest?.socket ?? socket).destroy();
      if (longest === undefined) return;
      forget(longest);
    }
    const connection = { name: nameOf(socket), socket, requests: 0 };
    open.set(connection.name, connection);
    idle.add(connection);
    socket.once('close', () => forget(connection));
  });
  // Prepended: what answers a request may end it at once.
  server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => {
    const connection = open.get(nameOf(req.socket));
    if (connection === undefined) return;
    connection.requests++;
    idle.delete(connection);
    res.once('close', () => {
      connection.requests--;
      if (connection.requests === 0 && open.get(connection.name) === connection) idle.add(connection);
    });
  });
}

/** Names a connection, whether `socket` is the one that was accepted or speaks TLS over it. */
function nameOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`;
}
