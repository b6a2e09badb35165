import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const [LOWEST, HIGHEST] = [20_000, 32_000]; // below those that the kernel hands out by itself
const ATTEMPTS = 100;

/** A port of loopback that nobody has, for a program that must be told one. */
export async function freePort(protocol: 'tcp' | 'udp' = 'tcp'): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    const holder =
      protocol === 'tcp'
        ? createServer().listen(port, '127.0.0.1')
        : createSocket('udp4').bind(port, '127.0.0.1');
    const isFree = await once(holder, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    holder.close();
    await once(holder, 'close');
    return port;
  }
  throw new Error(`no ${protocol} port of loopback is free`);
}
