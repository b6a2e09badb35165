import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { receiversFor, type Received, type Receivers } from '../../../src/repo/mirror/receivers.js';
import { workDirectory } from '../rpm-packages.js';
import { serveDirectory } from '../web-server.js';

const LONG_AGO = 1_500_000_000; // seconds
const BYTES = randomBytes(700_000);
const SHA256 = createHash('sha256').update(BYTES).digest('hex');

interface Receiving {
  readonly dir: string;
  readonly receivers: Receivers;
  readonly receive: (name: string, file?: string) => Promise<Received | undefined>;
}

/** Receivers of what lies below `url`; every file there is expected to be BYTES. */
async function receiving(t: ExecutionContext, url: string, jobs = 4): Promise<Receiving> {
  const dir = await workDirectory(t);
  const receivers = receiversFor(url, jobs);
  if (receivers === undefined) throw new Error(`${url} is not for receivers`);
  t.teardown(() => receivers.stop());
  const receive = (name: string, file = path.join(dir, 'placed', name)): Promise<Received | undefined> =>
    receivers.receive(`${url}/${name}`, {
      partial: path.join(dir, `partial-${name}`),
      file,
      size: BYTES.length,
      sha256: SHA256,
    });
  return { dir, receivers, receive };
}

/** A server on loopback that writes what `answer` says to each request; its URL, and what was asked for. */
async function rawServer(
  t: ExecutionContext,
  answer: (target: string, socket: Socket) => void,
): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('data', (request) => {
      const target =
        /^GET (\S+) HTTP\/1.1\r\nHost: 127\.0\.0\.1:\d+\r\n/.exec(request.toString())?.[1] ?? '?';
      asked.push(target);
      answer(target, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${BYTES.length}\r\n\r\n`;

test('files that nginx serves come whole, checked, with their times, into directories that are made', async (t) => {
  const web = await workDirectory(t);
  const names = Array.from({ length: 40 }, (_, at) => `file-${at}`);
  for (const name of names) {
    await writeFile(path.join(web, name), BYTES);
    await utimes(path.join(web, name), LONG_AGO, LONG_AGO);
  }
  const { url } = await serveDirectory(t, web);
  for (const base of [url, url.replace('127.0.0.1', 'localhost'), url.replace('//', '//a%40b:c%3Ad@')]) {
    const { dir, receive } = await receiving(t, base);
    const received = await Promise.all(names.map((name) => receive(name)));
    t.deepEqual(
      received,
      names.map(() => ({ kind: 'placed', time: LONG_AGO })),
    );
    for (const name of names) {
      const file = path.join(dir, 'placed', name);
      t.true(BYTES.equals(await readFile(file)));
      t.is((await stat(file)).mtimeMs, LONG_AGO * 1000);
    }
    t.deepEqual(await readdir(dir), ['placed']);
  }
});

test('an answer comes in any pieces, on a connection that is kept or not', async (t) => {
  const { url } = await rawServer(t, (target, socket) => {
    if (target === '/byte-by-byte') {
      socket.setNoDelay(true);
      const bytes = Buffer.from(HEAD);
      const send = (at: number): void => {
        if (at === bytes.length) socket.write(BYTES);
        else socket.write(bytes.subarray(at, at + 1), () => setImmediate(send, at + 1));
      };
      send(0);
    } else if (target === '/together') socket.write(Buffer.concat([Buffer.from(HEAD), BYTES]));
    else
      socket.end(
        Buffer.concat([Buffer.from(HEAD.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')), BYTES]),
      );
  });
  const { dir, receive } = await receiving(t, url, 1);
  for (const name of ['byte-by-byte', 'together', 'closing', 'last']) {
    t.is((await receive(name))?.kind, 'placed', name);
    t.true(BYTES.equals(await readFile(path.join(dir, 'placed', name))));
  }
});

test('what breaks off stays to be continued; what is another file goes', async (t) => {
  const { url } = await rawServer(t, (target, socket) => {
    if (target === '/broken') socket.end(Buffer.concat([Buffer.from(HEAD), BYTES.subarray(0, 300_000)]));
    else if (target === '/wrong') socket.write(Buffer.concat([Buffer.from(HEAD), randomBytes(BYTES.length)]));
    else if (target === '/longer') socket.write(Buffer.concat([Buffer.from(HEAD), BYTES, Buffer.from('x')]));
    else if (target === '/silent') socket.destroy();
    else socket.write(Buffer.concat([Buffer.from(HEAD), BYTES]));
  });
  const { dir, receive } = await receiving(t, url);
  t.like(await receive('broken'), { kind: 'broken' });
  t.deepEqual(await readFile(path.join(dir, 'partial-broken')), BYTES.subarray(0, 300_000));
  t.deepEqual(await receive('wrong'), { kind: 'wrong' });
  t.regex((await receive('longer'))?.kind ?? '', /^(wrong|placed)$/, 'whatever came with the last byte');
  t.is(await receive('silent'), undefined);
  t.is((await receive('whole'))?.kind, 'placed', 'a server that was silent once is asked again');
  t.deepEqual(
    (await readdir(dir)).filter((name) => name !== 'placed'),
    ['partial-broken'],
  );
});

test('a server whose answers are not for them is asked once', async (t) => {
  for (const answer of [
    'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother',
    'x'.repeat(70_000),
  ]) {
    const { url, asked } = await rawServer(t, (_, socket) => socket.write(answer));
    const { dir, receive } = await receiving(t, url);
    t.is(await receive('a'), undefined);
    t.is(await receive('b'), undefined);
    t.deepEqual(asked, ['/a']);
    t.deepEqual(await readdir(dir), []);
  }
});

test('other servers, and servers that do not answer', async (t) => {
  t.is(receiversFor('https://example.test/', 4), undefined);
  t.is(receiversFor('file:///srv', 4), undefined);
  const { receivers, receive } = await receiving(t, 'http://127.0.0.1:1');
  t.is(await receive('a'), undefined);
  const order = { partial: '/nonexistent/a', file: '/nonexistent/b', size: 1, sha256: SHA256 };
  t.is(await receivers.receive('http://127.0.0.2:1/a', order), undefined);
});

test('what the file system refuses is told', async (t) => {
  const { url } = await rawServer(t, (_, socket) => socket.write(Buffer.concat([Buffer.from(HEAD), BYTES])));
  const { dir, receive } = await receiving(t, url);
  await writeFile(path.join(dir, 'file'), '');
  const below = path.join(dir, 'file', 'below');
  t.like(await receive('a', below), { kind: 'refused', place: below });
  await mkdir(path.join(dir, 'partial-b'));
  t.deepEqual(await receive('b'), { kind: 'refused', place: path.join(dir, 'partial-b'), code: 'EISDIR' });
  t.is((await receive('c'))?.kind, 'placed');
});

test('those that are stopped leave what came, and answer nobody', async (t) => {
  const { url } = await rawServer(t, (_, socket) =>
    socket.write(Buffer.concat([Buffer.from(HEAD), BYTES.subarray(0, 300_000)])),
  );
  const { receivers, receive } = await receiving(t, url);
  const waiting = receive('a');
  await receivers.stop();
  t.is(await waiting, undefined);
});
