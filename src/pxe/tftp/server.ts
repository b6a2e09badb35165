import { messageOf } from '../../errors.js';
import { Desk } from './desk.js';
import type { TftpServerOptions } from './options.js';
import { bindServer, createUdp } from './socket.js';

export type { TftpProgressEvent, TftpTransferEvent } from './events.js';
export type { TftpServerOptions } from './options.js';

/** A running TFTP server. */
export interface TftpServer {
  readonly port: number;
  /** How many transfers run. */
  active(): number;
  /** Aborts what runs and closes every socket and file. */
  close(): Promise<void>;
}

/** Starts a read-only TFTP server. Throws PxeError PORT_IN_USE, NO_RIGHTS or NO_ADDRESS when it cannot listen. */
export async function startTftpServer(options: TftpServerOptions): Promise<TftpServer> {
  const socket = createUdp(options.host);
  await bindServer(socket, options.host, options.port);
  const desk = new Desk(options, socket);
  socket.on('error', (error) => options.log.warn({ service: 'tftp' }, `socket: ${messageOf(error)}`));
  socket.on('message', (bytes, remote) => desk.receive(bytes, remote));
  return {
    port: socket.address().port,
    active: () => desk.active,
    close: () => desk.close(),
  };
}
