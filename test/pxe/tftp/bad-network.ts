import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { randomFrom } from '../dhcp/random.js';
import { HOST } from './serving.js';

export interface Habits {
  readonly seed: number;
  readonly loss: number; // chances, 0 to 1
  readonly duplication: number;
  readonly reordering: number; // a packet that is held back, until the next one has gone or 20 ms have passed
}

export interface BadNetwork {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Stands between clients and the TFTP server at `port`, and loses, doubles and reorders what passes, both ways. To the
 * server each client has a port of its own; to the client each transfer does, as TFTP wants. Requests, OACK and ACK 0 pass
 * untouched: atftp gives up when OACK comes twice, whoever's fault it is.
 */
export async function openBadNetwork(port: number, habits: Habits): Promise<BadNetwork> {
  const random = randomFrom(habits.seed);
  const sockets: Socket[] = [];
  let closed = false;
  const open = async (): Promise<Socket> => {
    const socket = createSocket('udp4');
    sockets.push(socket);
    await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
    return socket;
  };
  const pass = (bytes: Buffer, send: () => void, hold: { send: (() => void) | undefined }): void => {
    if (isHandshake(bytes)) return send();
    if (random() < habits.loss) return;
    if (random() < habits.duplication) send();
    if (hold.send === undefined && random() < habits.reordering) {
      const held = (hold.send = () => {
        if (closed) return;
        if (hold.send === held) hold.send = undefined;
        send();
      });
      setTimeout(() => hold.send === held && held(), 20);
      return;
    }
    send();
    hold.send?.();
  };

  const front = await open();
  front.on('message', (request, client) => void join(request, client));
  const join = async (request: Buffer, client: RemoteInfo): Promise<void> => {
    const near = await open(); // what the client takes for the transfer's port
    const far = await open(); // what the server takes for the client
    const toClient = { send: undefined };
    const toServer = { send: undefined };
    let transfer: number | undefined;
    far.on('message', (bytes, server) => {
      transfer = server.port;
      pass(bytes, () => near.send(bytes, client.port, client.address, () => undefined), toClient);
    });
    near.on('message', (bytes) => {
      const to = transfer;
      if (to !== undefined) pass(bytes, () => far.send(bytes, to, HOST, () => undefined), toServer);
    });
    far.send(request, port, HOST);
  };
  return {
    port: front.address().port,
    close: async () => {
      closed = true;
      await Promise.all(
        sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
      );
    },
  };
}

/** OACK, or the acknowledgement of block 0. */
function isHandshake(bytes: Buffer): boolean {
  return bytes.readUInt16BE(0) === 6 || bytes.equals(Buffer.from('00040000', 'hex'));
}
