import { createSocket } from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { TftpServerOptions } from '../../../src/pxe/tftp/server.js';
import { REAL_CLIENTS, fetchWith } from './clients.js';
import { HOST, MemoryFiles, RawClient, bytesOf, serve, settled } from './serving.js';

const FILE = bytesOf(300_001);
const files = (): MemoryFiles => new MemoryFiles({ file: FILE });

let nextRange = 20_000 + (process.pid % 5_000);

/** `count` ports in a row that nobody has, below those that the kernel gives out; other ones each time. */
async function freeRange(count: number): Promise<{ kind: 'range'; first: number; last: number }> {
  while (nextRange < 32_000) {
    const first = nextRange;
    nextRange += count;
    const sockets = Array.from({ length: count }, () => createSocket('udp4'));
    const bound = await Promise.all(
      sockets.map(
        (socket, index) =>
          new Promise<boolean>((resolve) => {
            socket.once('error', () => resolve(false));
            socket.bind(first + index, HOST, () => resolve(true));
          }),
      ),
    );
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
    if (bound.every(Boolean)) return { kind: 'range', first, last: first + count - 1 };
  }
  throw new Error('no free ports');
}

test('transfers stay in the range, and no port is used twice at once', async (t) => {
  const ports = await freeRange(3);
  const source = files();
  const serving = await serve(source, { ports });
  const clients = await Promise.all([1, 2, 3].map(() => RawClient.open()));
  for (const client of clients) client.request(serving.server.port, 'file');
  const first = await Promise.all(clients.map((client) => client.next()));
  t.deepEqual(first.map(({ from }) => from).sort(), [ports.first, ports.first + 1, ports.last]);

  const fourth = await RawClient.open();
  fourth.request(serving.server.port, 'file');
  t.is(await fourth.within(300), undefined);
  t.is(source.unclosed, 3);
  for (const [index, client] of clients.entries())
    client.send({ kind: 'error', code: 0, message: 'stop' }, first[index]?.from ?? 0);
  await settled(serving);
  for (let round = 0; round < 7; round += 1)
    t.true((await fourth.fetch(serving.server.port, 'file')).equals(FILE));
  await Promise.all([...clients, fourth].map((client) => client.close()));
  await serving.server.close();
  t.is(source.unclosed, 0);
});

test('a port of the range that another program has is passed over', async (t) => {
  const ports = await freeRange(2);
  const other = createSocket('udp4');
  await new Promise<void>((resolve) => other.bind(ports.first, HOST, resolve));
  const serving = await serve(files(), { ports });
  const client = await RawClient.open();
  for (let round = 0; round < 3; round += 1) {
    t.true((await client.fetch(serving.server.port, 'file')).equals(FILE));
    await settled(serving);
  }
  await client.close();
  await serving.server.close();
  await new Promise<void>((resolve) => other.close(() => resolve()));
});

test('on a single port everything comes from it, and strangers change nothing', async (t) => {
  const source = files();
  const serving = await serve(source, { ports: { kind: 'single' } });
  const { port } = serving.server;
  const client = await RawClient.open();
  const stranger = await RawClient.open();
  client.request(port, 'file');
  t.like(await client.next(), { kind: 'data', block: 1, from: port });
  stranger.ack(1, port);
  stranger.send({ kind: 'error', code: 0, message: 'stop' }, port);
  t.is(await stranger.within(200), undefined);
  client.ack(1, port);
  t.like(await client.next(), { kind: 'data', block: 2, from: port });
  client.request(port, 'file', { tsize: '0' }); // another one takes its place
  t.like(await client.next(), { kind: 'oack', from: port });
  t.like(await serving.ended(), { outcome: 'aborted' });
  client.send({ kind: 'error', code: 8, message: '' }, port);
  t.like(await serving.ended(), { outcome: 'probe' });
  t.true((await client.fetch(port, 'file')).equals(FILE));
  await settled(serving);

  client.request(port, 'file');
  await client.next();
  await serving.server.close();
  t.like(await client.next(), { kind: 'error', message: 'the server is closing', from: port });
  t.is(source.unclosed, 0);
  await Promise.all([client.close(), stranger.close()]);
});

const ways: readonly [name: string, host: string, to: string, options: Partial<TftpServerOptions>][] = [
  ['from a single port', HOST, HOST, { ports: { kind: 'single' } }],
  ['over IPv6', '::1', '::1', {}],
  ['over IPv6 from a single port', '::1', '::1', { ports: { kind: 'single' } }],
  ['by IPv4 from a server for both', '::', HOST, {}],
];
for (const [name, host, to, options] of ways) {
  for (const client of REAL_CLIENTS) {
    test(`${client.name} is served ${name}`, async (t) => {
      const dir = await mkdtemp(join(tmpdir(), 'rackboot-tftp-'));
      const serving = await serve(files(), { host, ...options });
      try {
        const got = await fetchWith(client, serving.server.port, 'file', join(dir, 'out'), to);
        t.true(got.equals(FILE));
        t.like(await serving.ended(), { outcome: 'complete', bytes: FILE.length, client: { address: to } });
      } finally {
        await serving.server.close();
        await rm(dir, { recursive: true });
      }
    });
  }
}
