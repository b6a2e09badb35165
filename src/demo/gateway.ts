import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../errors.js';
import { DemoError } from './errors.js';
import type { Lab } from './lab.js';

/** A loopback port of this machine that leads into the lab. */
export interface Gateway {
  readonly url: string; // http://127.0.0.1:PORT, without a final slash
  close(): Promise<void>;
}

/**
 * Listens on 127.0.0.1 (`port` 0: any free one) and hands every connection to a process in the lab, which passes it
 * on to the server's `toPort` there. Throws DemoError LAB_FAILED when the port is taken.
 */
export async function openGateway(lab: Lab, toPort: number, port = 0): Promise<Gateway> {
  const program = fileURLToPath(new URL('./gateway-process.js', import.meta.url));
  const inside = lab.spawn([process.execPath, program, lab.address, String(toPort)], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    detached: true,
  });
  inside.on('error', () => undefined); // shows as connections that are closed
  const outside = createServer({ pauseOnConnect: true }, (socket) => {
    if (!inside.connected) socket.destroy();
    else inside.send('connection', socket, (error) => error !== null && socket.destroy());
  });
  const stop = async (): Promise<void> => {
    outside.close();
    if (inside.exitCode !== null || inside.signalCode !== null) return;
    const gone = once(inside, 'exit');
    inside.kill('SIGKILL');
    await gone;
  };
  try {
    outside.listen(port, '127.0.0.1');
    await once(outside, 'listening');
  } catch (error) {
    await stop();
    throw new DemoError('LAB_FAILED', `port ${port} of 127.0.0.1: ${messageOf(error)}; choose another port.`);
  }
  return { url: `http://127.0.0.1:${(outside.address() as AddressInfo).port}`, close: stop };
}
