import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type Socket, connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { readCertificate } from '../../../src/pxe/http/certificate.js';
import { listenHttp, listenHttps } from '../../../src/pxe/http/server.js';
import { makeCertificate } from './made-certificate.js';

const ok = (_req: unknown, res: { end(text: string): void }): void => res.end('ok');

/** What the server says on a connection on which `text` was sent, until it closes it. */
function untilClosed(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.setTimeout(15_000, () => socket.destroy(new Error('still open')));
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.on('close', (hadError) => (hadError ? undefined : resolve(said)));
    socket.on('error', (error) => ('code' in error ? resolve(said) : reject(error)));
  });
}

test('a port in use is one line with the mend', async (t) => {
  const first = await listenHttp(ok, '127.0.0.1', 0);
  t.teardown(() => first.close());
  await t.throwsAsync(listenHttp(ok, '127.0.0.1', first.port), {
    name: 'PxeError',
    message:
      /^HTTP cannot listen on 127\.0\.0\.1:\d+: the port is in use; stop what uses it .*, or change http\.listen in rackboot\.yaml$/,
  });
});

test('an address that is not ours is one line with the mend', async (t) => {
  await t.throwsAsync(listenHttp(ok, '192.0.2.1', 0), {
    name: 'PxeError',
    message:
      /^HTTP cannot listen on 192\.0\.2\.1:0: this machine does not have that address; change http\.listen/,
  });
});

test('who does not finish a request, or asks for nothing more, is let go', async (t) => {
  const limits = { headersTimeout: 300, requestTimeout: 300, keepAliveTimeout: 200, idleTimeout: 600 };
  const server = await listenHttp(ok, '127.0.0.1', 0, limits);
  t.teardown(() => server.close());
  t.regex(await untilClosed(server.port, 'GET / HTTP/1.1\r\nHost'), /^HTTP\/1\.1 408 |^$/);
  t.regex(await untilClosed(server.port, ''), /^HTTP\/1\.1 408 |^$/);
  t.regex(await untilClosed(server.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1\.1 200 [^]*ok$/);
});

const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

/** A connection that stays open, once it is, or has got the first bytes of an answer to `text`. */
function hold(port: number, text = ''): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      if (text === '') resolve(socket);
      else socket.write(text);
    });
    socket.once('data', () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

test('above the limit the connection that is idle longest makes way, and none that is at work', async (t) => {
  const slow = (_req: unknown, res: ServerResponse): void => void res.write('some');
  const server = await listenHttp(slow, '127.0.0.1', 0, { connections: 3 });
  t.teardown(() => server.close());
  const atWork = await hold(server.port, request);
  const first = await hold(server.port);
  const second = await hold(server.port);
  const closed = [once(first, 'close'), once(second, 'close')];
  const third = await hold(server.port, request);
  await closed[0];
  t.deepEqual([atWork.closed, second.closed, third.closed], [false, false, false]);
  const fourth = await hold(server.port, request);
  await closed[1];
  t.is(await untilClosed(server.port, request), '');
  t.deepEqual([atWork.closed, third.closed, fourth.closed], [false, false, false]);
  for (const socket of [atWork, third, fourth]) socket.destroy();
});

test('ten thousand idle connections keep nobody out, over TLS neither', async (t) => {
  const dir = await makeCertificate(t, 'crowded');
  const certificate = await readCertificate(join(dir, 'cert.pem'), join(dir, 'key.pem'));
  const limits = { connections: 1000, connectionsPerClient: 100_000 };
  const plain = await listenHttp(ok, '127.0.0.1', 0, limits);
  const tls = await listenHttps(ok, '127.0.0.1', 0, certificate, limits);
  t.teardown(() => Promise.all([plain.close(), tls.close()]));
  const curl = async (url: string): Promise<string> => {
    const { stdout } = await promisify(execFile)('curl', ['-sk', '--max-time', '30', url]);
    return stdout;
  };
  for (const [port, scheme] of [
    [plain.port, 'http'],
    [tls.port, 'https'],
  ] as const) {
    const sockets: Socket[] = [];
    for (let count = 0; count < 5000; count += 250) {
      const opened = Array.from({ length: 250 }, async (_, index) => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        sockets.push(socket);
        await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
        if (index % 2 === 0 && !socket.destroyed)
          socket.write(scheme === 'http' ? 'GET / HT' : '\x16\x03\x01');
      });
      await Promise.all(opened);
      t.is(await curl(`${scheme}://127.0.0.1:${port}/`), 'ok');
    }
    for (const socket of sockets) socket.destroy();
  }
});

test('close cuts what is left', async (t) => {
  const server = await listenHttp(() => undefined, '127.0.0.1', 0);
  const open = untilClosed(server.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 100));
  await server.close();
  t.is(await open, '');
});

test('responses in line behind another are closed with their connection', async (t) => {
  const closed: (string | undefined)[] = [];
  const ended = new Promise<void>((resolve) => {
    void listenHttp(
      (req, res) => {
        res.on('close', () => {
          closed.push(req.url);
          if (closed.length === 3) resolve();
        });
        res.write('some');
      },
      '127.0.0.1',
      0,
    ).then(async (server) => {
      t.teardown(() => server.close());
      const socket = await hold(
        server.port,
        ['/1', '/2', '/3'].map((path) => request.replace('/', path)).join(''),
      );
      socket.destroy();
    }, t.fail);
  });
  await ended;
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.deepEqual(closed.sort(), ['/1', '/2', '/3']);
});
