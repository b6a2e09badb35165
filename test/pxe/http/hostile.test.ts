import { connect, type Socket } from 'node:net';
import test from 'ava';
import { FORBIDDEN, mutateRequest, requestSeeds, seeded } from './mutations.js';
import { ask, bootFiles, digestOf, runSite, until, type RunningSite } from './running-site.js';

/** Mutated requests through real sockets; fuzz.test.ts has many more. */
const REQUESTS = 2000;

/** Sends `bytes`, and gives back what came until the first answer was whole, the server closed, or it said nothing. */
function exchange(port: number, bytes: Buffer, options: { halfClose?: boolean } = {}): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port });
    const end = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(2000, end);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const header = text.indexOf('\r\n\r\n');
      const length = /^content-length: (\d+)/im.exec(text.slice(0, header))?.[1];
      if (header > 0 && length !== undefined && text.length >= header + 4 + Number(length)) end();
    });
    socket.on('error', end);
    socket.on('close', end);
    // Half-closed, an unfinished request ends at once, and no clock decides what counts as an answer.
    if (options.halfClose === true) socket.end(bytes);
    else socket.write(bytes);
  });
}

async function publish(t: Parameters<typeof runSite>[0]): Promise<RunningSite & { readonly id: string }> {
  const site = await runSite(t);
  await site.addNode({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    ip: '127.0.0.11',
    attributes: { secret: 'x' },
  });
  const small = Buffer.from('small\n'.repeat(50));
  const id = await site.publish({
    name: 'd12',
    files: { ...bootFiles, small },
    tree: { small },
    answer: 'x',
  });
  await site.assign('n1', {});
  return { ...site, id };
}

test(`${REQUESTS} mutated requests leave the server answering, and nothing outside is served`, async (t) => {
  const site = await publish(t);
  const random = seeded(20260301);
  const originals = requestSeeds(site.id);
  let sent = 0;
  let answered = 0;
  const worker = async (): Promise<void> => {
    while (sent < REQUESTS) {
      // Now and then several to a connection, so that what one leaves behind meets the next.
      const batch = Array.from({ length: random(10) === 0 ? 4 : 1 }, () =>
        mutateRequest(originals[random(originals.length)] ?? '', random),
      );
      sent += batch.length;
      const text = await exchange(site.port, Buffer.concat(batch), { halfClose: true });
      if (text.startsWith('HTTP/1.1 ')) answered++;
      t.notRegex(text, FORBIDDEN);
      t.notRegex(text, /HTTP\/1\.1 500/);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  t.true(answered > REQUESTS / 2, `${answered} answers`);
  const after = await ask(site, `/images/d12@${site.id}/files/linux`);
  t.is(digestOf(after.body), digestOf(bootFiles.linux));
  t.is((await ask(site, '/healthz')).text, 'ok\n');
  await until(() => site.servers.service.transfers.totals.active === 0);
});

test('every kind of attack path is a 404 with one line', async (t) => {
  const site = await publish(t);
  const climbs = [
    '..',
    '%2e%2e',
    '.%2e',
    '%2e%2e%2f',
    '..%2f',
    '..%5c',
    '..\\',
    '%c0%ae%c0%ae',
    '....//',
    '%252e%252e',
    '%00',
    '..%00',
    '.',
  ];
  for (const prefix of [
    '',
    '/nodes',
    '/nodes/n1',
    `/images/d12@${site.id}/files`,
    `/images/d12@${site.id}/tree`,
    '/images',
    '/loaders',
    '/api',
    '/api/v1/nodes',
  ]) {
    for (const climb of climbs) {
      const path = `${prefix}/${`${climb}/`.repeat(8)}etc/passwd`;
      const text = await exchange(
        site.port,
        Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, 'latin1'),
      );
      t.regex(text, /^HTTP\/1\.1 404 /, path);
      t.regex(text.slice(text.indexOf('\r\n\r\n') + 4), /^[^\n]+\n$/, path);
    }
  }
});

const refused: readonly (readonly [string, string, RegExp])[] = [
  ['a header of 20 KiB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ['a URL of 5,000 characters', `GET /${'y'.repeat(5000)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1\.1 414 /],
  ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
  [
    'two lengths',
    'POST /nodes/n1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    /^HTTP\/1\.1 400 /,
  ],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['a tunnel', 'CONNECT x:22 HTTP/1.1\r\nHost: x\r\n\r\n', /^$/],
  [
    'a large body that nobody asked for',
    `PUT /api/v1/nodes/n1/assignment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n`,
    /^HTTP\/1\.1 401 [^]*Connection: close/,
  ],
];
for (const [what, bytes, expected] of refused) {
  test(`refused: ${what}`, async (t) => {
    const site = await publish(t);
    t.regex(await exchange(site.port, Buffer.from(bytes)), expected);
    t.is((await ask(site, '/healthz')).status, 200);
  });
}

test('hundreds of idle and half-sent requests do not keep others out', async (t) => {
  const site = await publish(t);
  const sockets: Socket[] = [];
  for (let n = 0; n < 400; n++) {
    const socket = connect({ host: '127.0.0.1', port: site.port });
    socket.on('error', () => undefined);
    socket.write(n % 2 === 0 ? 'GET / HT' : '');
    sockets.push(socket);
  }
  await until(() => sockets.every((socket) => !socket.connecting));
  const answer = await ask(site, `/images/d12@${site.id}/files/linux`);
  t.is(digestOf(answer.body), digestOf(bootFiles.linux));
  for (const socket of sockets) socket.destroy();
});
