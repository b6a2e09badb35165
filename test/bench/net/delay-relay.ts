// Stands in front of a TFTP server and lets its packets wait: node delay-relay.js ADDRESS PORT SERVER-PORT MILLISECONDS.
// Each client has a port of its own on the way to the server, each transfer one on the way back, as TFTP wants.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';

const [address = '', port, serverPort, delay] = process.argv.slice(2);

async function open(at = 0): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(at, address, resolve));
  return socket;
}

/** Has `send` run in `delay` milliseconds, after all that was given before it. */
function lineUp(): (send: () => void) => void {
  const waiting: { readonly at: number; send(): void }[] = [];
  const release = (): void => {
    while (waiting[0] !== undefined && waiting[0].at <= performance.now()) waiting.shift()!.send();
    if (waiting[0] !== undefined) setTimeout(release, Math.max(0, waiting[0].at - performance.now()));
  };
  return (send) => {
    waiting.push({ at: performance.now() + Number(delay), send });
    if (waiting.length === 1) setTimeout(release, Number(delay));
  };
}

async function join(request: Buffer, client: RemoteInfo): Promise<void> {
  const near = await open(); // what the client takes for the transfer's port
  const far = await open(); // what the server takes for the client
  const later = lineUp();
  let transfer: number | undefined;
  far.on('message', (bytes, server) => {
    transfer = server.port;
    later(() => near.send(bytes, client.port, client.address, () => undefined));
  });
  near.on('message', (bytes) => {
    if (transfer !== undefined) far.send(bytes, transfer, address, () => undefined);
  });
  far.send(request, Number(serverPort), address);
}

const front = await open(Number(port));
front.on('message', (request, client) => void join(Buffer.from(request), client));
