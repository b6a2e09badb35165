import { connect } from 'node:net';
import test from 'ava';
import { listenHttp } from '../../../src/pxe/http/server.js';

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

test('connections above the limit are not taken', async (t) => {
  const server = await listenHttp(ok, '127.0.0.1', 0, { connections: 2 });
  t.teardown(() => server.close());
  const held = await Promise.all(
    [1, 2].map(
      () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(server.port, '127.0.0.1', () =>
            socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
          );
          socket.once('data', () => resolve(socket));
        }),
    ),
  );
  t.is(await untilClosed(server.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), '');
  for (const socket of held) socket.destroy();
});

test('close cuts what is left', async (t) => {
  const server = await listenHttp(() => undefined, '127.0.0.1', 0);
  const open = untilClosed(server.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 100));
  await server.close();
  t.is(await open, '');
});
