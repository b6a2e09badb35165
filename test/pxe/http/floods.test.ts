import { connect, type Socket } from 'node:net';
import test from 'ava';
import { listenHttp } from '../../../src/pxe/http/server.js';
import { heapInUse } from '../heap.js';
import { ask, digestOf, runSite, until } from './running-site.js';

const LARGE = Buffer.alloc(24 * 2 ** 20, 'large file ');

/** A connection from `from` that has sent `text` and reads nothing. */
async function dangle(port: number, from: string, text: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  socket.on('error', () => undefined);
  socket.pause().write(text);
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

/** Whether the other end has closed `socket`, which is read to find out. */
function closed(socket: Socket): Promise<true> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve(true);
    else socket.resume().once('close', () => resolve(true));
  });
}

test('one address has its share of connections; another’s are not touched', async (t) => {
  const server = await listenHttp((_req, res) => void res.write('some'), '127.0.0.1', 0, {
    connections: 100,
    connectionsPerClient: 4,
  });
  t.teardown(() => server.close());
  const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
  const atWork: Socket[] = [];
  for (let count = 0; count < 3; count += 1) {
    const socket = await dangle(server.port, '127.0.0.5', request);
    await new Promise((resolve) => socket.resume().once('data', resolve));
    atWork.push(socket);
  }
  const idle = await dangle(server.port, '127.0.0.5', '');
  const other = await dangle(server.port, '127.0.0.6', '');
  const next = await dangle(server.port, '127.0.0.5', request);
  t.true(await closed(idle), 'the idle one of the same address makes way');
  await new Promise((resolve) => next.resume().once('data', resolve));
  t.true(await closed(await dangle(server.port, '127.0.0.5', '')), 'all four are at work');
  t.deepEqual(
    [...atWork, next, other].map((socket) => socket.destroyed),
    [false, false, false, false, false],
  );
  for (const socket of [...atWork, next, other]) socket.destroy();
});

test('a proxy may have as many as there are', async (t) => {
  const server = await listenHttp((_req, res) => void res.end('ok'), '127.0.0.1', 0, {
    connectionsPerClient: 2,
    proxies: ['127.0.0.7'],
  });
  t.teardown(() => server.close());
  const sockets: Socket[] = [];
  for (let count = 0; count < 8; count += 1) sockets.push(await dangle(server.port, '127.0.0.7', ''));
  const answered = sockets.map(
    (socket) =>
      new Promise((resolve) =>
        socket.resume().once('data', resolve).write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      ),
  );
  await Promise.all(answered);
  t.pass();
  for (const socket of sockets) socket.destroy();
});

test('a reader that makes no headway is cut off; one that does is not', async (t) => {
  const server = await listenHttp(
    (_req, res) => {
      const piece = Buffer.alloc(2 ** 20);
      const more = (): void => void res.write(piece, more);
      more();
    },
    '127.0.0.1',
    0,
    { slowTimeout: 1200, idleTimeout: 60_000 },
  );
  t.teardown(() => server.close());
  const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
  const good = await dangle(server.port, '127.0.0.8', request);
  let bytes = 0;
  good.resume().on('data', (chunk: Buffer) => (bytes += chunk.length));
  const slow = await dangle(server.port, '127.0.0.9', request);
  t.true(
    await new Promise((resolve) => {
      const look = setInterval(() => {
        // A reset shows once the socket is used again.
        slow.write('\r\n', (error) => {
          if (!error) return;
          clearInterval(look);
          resolve(true);
        });
      }, 100);
    }),
  );
  t.false(good.destroyed);
  t.true(bytes > 0);
  good.destroy();
  slow.destroy();
});

test('slow readers of large files cost little memory, hold no rack, and a good client gets its file', async (t) => {
  const site = await runSite(t, { http: { transfersPerRack: 8, limits: { transfersPerClient: 4 } } });
  const id = await site.publish({ name: 'd12', files: { large: LARGE, linux: Buffer.alloc(50_000, 'l') } });
  const path = `/images/d12@${id}/files/large`;
  const get = `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  await ask(site, path);
  const before = await heapInUse();
  const sockets: Socket[] = [];
  for (let count = 0; count < 200; count += 1) sockets.push(await dangle(site.port, '127.1.0.9', get));
  await until(() => site.servers.service.transfers.totals.active === 4);
  const answer = await ask(site, path, { from: '127.1.0.10' });
  t.is(digestOf(answer.body), digestOf(LARGE));
  answer.body.fill(0);
  const grown = (await heapInUse()) - before;
  // 200 connections at some tens of KiB each, and what was read ahead for four transfers.
  t.true(grown < 64 * 2 ** 20, `${grown} bytes for 200 slow readers`);
  for (const socket of sockets) socket.destroy();
  await until(() => site.servers.service.transfers.totals.active === 0);
});

test('headers that trickle in, and headers without end, are cut off while others are served', async (t) => {
  const server = await listenHttp((_req, res) => void res.end('ok'), '127.0.0.1', 0, {
    headersTimeout: 1000,
    requestTimeout: 1000,
  });
  t.teardown(() => server.close());
  const trickling = await Promise.all(
    Array.from({ length: 100 }, () => dangle(server.port, '127.0.0.5', 'GET / HTTP/1.1\r\nHost: x\r\n')),
  );
  const drip = setInterval(() => {
    for (const socket of trickling) socket.write('X-A: b\r\n');
  }, 50);
  const bombs = await Promise.all(
    Array.from({ length: 50 }, () =>
      dangle(
        server.port,
        '127.0.0.6',
        `GET / HTTP/1.1\r\nHost: x\r\n${`X-${'y'.repeat(200)}: z\r\n`.repeat(2000)}\r\n`,
      ),
    ),
  );
  const site = { port: server.port };
  t.is((await ask(site, '/')).text, 'ok');
  for (const bomb of bombs) t.true(await closed(bomb));
  for (const socket of trickling) t.true(await closed(socket));
  clearInterval(drip);
  t.is((await ask(site, '/')).text, 'ok');
});
