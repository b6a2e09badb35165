import { createSocket, type Socket } from 'node:dgram';
import { readdir } from 'node:fs/promises';
import test from 'ava';
import { pino } from 'pino';
import { encodeTftp } from '../../../src/pxe/tftp/packet.js';
import { heapInUse } from '../heap.js';
import { HOST, MemoryFiles, RawClient, bytesOf, serve, settled } from './serving.js';

const LARGE = bytesOf(400_000);

/** A socket at an address of loopback. */
async function at(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  return socket;
}

const send = (socket: Socket, bytes: Buffer, port: number): Promise<void> =>
  new Promise((resolve) => socket.send(bytes, port, HOST, () => resolve()));

const request = (filename: string): Buffer =>
  encodeTftp({
    kind: 'rrq',
    filename,
    mode: 'octet',
    options: new Map([
      ['blksize', '1468'],
      ['windowsize', '16'],
    ]),
  });

for (const ports of ['any', 'single'] as const) {
  test.serial(
    `a flood of half-open transfers (ports: ${ports}) takes bounded sockets and memory; a good client is served`,
    async (t) => {
      t.timeout(120_000);
      const files = new MemoryFiles({ large: LARGE });
      const limits = { transfers: 64, transfersPerClient: 16 };
      const serving = await serve(files, { limits, ports: { kind: ports } });
      const { port } = serving.server;
      const flooders = await Promise.all(
        Array.from({ length: 200 }, (_, n) => at(`127.2.${n % 20}.${1 + n}`)),
      );
      const before = await heapInUse();
      const openBefore = (await readdir('/proc/self/fd')).length;
      let mostOpen = 0;
      for (let round = 0; round < 25; round += 1) {
        for (const flooder of flooders) await send(flooder, request('large'), port);
        mostOpen = Math.max(mostOpen, (await readdir('/proc/self/fd')).length);
        t.true(serving.server.active() <= 2 * limits.transfers, `${serving.server.active()} transfers`);
      }
      const good = await RawClient.open();
      t.deepEqual(await good.fetch(port, 'large'), LARGE);
      const grown = (await heapInUse()) - before;
      t.true(mostOpen - openBefore <= 2 * limits.transfers, `${mostOpen - openBefore} more files open`);
      t.true(grown < 64 * 2 ** 20, `${grown} bytes more`);
      await good.close();
      for (const flooder of flooders) flooder.close();
      await serving.server.close();
      t.is(files.unclosed, 0);
    },
  );
}

test.serial('packets with made-up transfer ids reach no transfer', async (t) => {
  const serving = await serve(new MemoryFiles({ large: LARGE }), { ports: { kind: 'single' } });
  const { port } = serving.server;
  const victim = await RawClient.open();
  const spoofer = await at('127.3.0.1');
  const storm = (async () => {
    for (let number = 0; number < 3000; number += 1) {
      const packet =
        number % 3 === 0
          ? encodeTftp({ kind: 'error', code: 0, message: 'stop' })
          : encodeTftp({ kind: 'ack', block: number & 0xffff });
      await send(spoofer, packet, port);
    }
  })();
  t.deepEqual(await victim.fetch(port, 'large'), LARGE);
  await storm;
  t.true(await settled(serving));
  await victim.close();
  spoofer.close();
  await serving.server.close();
});

test.serial('requests for thousands of made-up names fill no log', async (t) => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  let now = 0;
  const serving = await serve(new MemoryFiles({ large: LARGE }), { log, now: () => now });
  const flooder = await RawClient.open();
  const ask = async (name: string): Promise<void> => {
    // A datagram that is lost is asked for again, as clients do.
    for (let tries = 0; tries < 20; tries += 1) {
      flooder.request(serving.server.port, name);
      if ((await flooder.within(1000)) !== undefined) return;
    }
    throw new Error(`no answer to the request for ${name}`);
  };
  for (let number = 0; number < 2000; number += 1) await ask(`name-${number}`);
  t.is(lines.length, 100);
  now += 1000;
  await ask('one more');
  t.regex(lines[100] ?? '', /one more/);
  await flooder.close();
  await serving.server.close();
});
