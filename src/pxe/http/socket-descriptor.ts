import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** The descriptor of a connection, as Node keeps it; it has no public name. */
interface WithHandle {
  readonly _handle?: { readonly fd?: unknown } | null;
}

/** The descriptor that `socket` has now; undefined when it is closed, or speaks TLS. */
export function descriptorOf(socket: Socket): number | undefined {
  if (socket.destroyed || !(socket instanceof Socket) || socket instanceof TLSSocket) return undefined;
  const fd = (socket as WithHandle)._handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
