import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { TftpProgressEvent } from '../../../src/pxe/tftp/server.js';
import { HOST, MemoryFiles, RawClient, bytesOf, serve, settled } from './serving.js';

const SMALL = bytesOf(1300);
const LARGE = bytesOf(300_000);

function files(): MemoryFiles {
  return new MemoryFiles({ small: SMALL, large: LARGE, 'boot/a b': SMALL, empty: Buffer.alloc(0) });
}

test('a file, block by block, from a port of its own', async (t) => {
  const source = files();
  const serving = await serve(source);
  const client = await RawClient.open();
  client.request(serving.server.port, '/small');
  const first = await client.next();
  t.like(first, { kind: 'data', block: 1 });
  t.not(first.from, serving.server.port);
  client.ack(1, first.from);
  const second = await client.next();
  client.ack(2, second.from);
  const third = await client.next();
  t.deepEqual(third, { kind: 'data', block: 3, data: SMALL.subarray(1024), from: first.from });
  client.ack(3, first.from);
  t.like(await serving.ended(), {
    path: 'small',
    outcome: 'complete',
    bytes: 1300,
    size: 1300,
    blksize: 512,
    windowsize: 1,
    resent: 0,
  });
  t.true(await settled(serving, source));
  await client.close();
  await serving.server.close();
});

test('a size probe is not a failure, and the real request follows', async (t) => {
  const source = files();
  const serving = await serve(source);
  const client = await RawClient.open();
  client.request(serving.server.port, 'small', { tsize: '0', blksize: '1468' });
  const probe = await client.next();
  t.deepEqual(probe, {
    kind: 'oack',
    options: new Map([
      ['tsize', '1300'],
      ['blksize', '1468'],
    ]),
    from: probe.from,
  });
  client.send({ kind: 'error', code: 8, message: 'User aborted the transfer' }, probe.from);
  t.like(await serving.ended(), { outcome: 'probe', bytes: 0, size: 1300 });
  client.request(serving.server.port, 'small', { tsize: '0', blksize: '1468' });
  const accepted = await client.next();
  client.ack(0, accepted.from);
  const data = await client.next();
  t.true(data.kind === 'data' && data.data.equals(SMALL));
  client.ack(1, data.from);
  t.like(await serving.ended(), { outcome: 'complete', bytes: 1300 });
  await client.close();
  await serving.server.close();
});

for (const [name, leave] of [
  ['asks for the file without it', async () => undefined],
  [
    'says so, and asks the same again at once',
    async (client: RawClient, from: number) =>
      client.send({ kind: 'error', code: 0, message: 'that was all' }, from),
  ],
] as const) {
  test(`a size probe is not a failure when the client ${name}`, async (t) => {
    const serving = await serve(files());
    const client = await RawClient.open();
    const asked = { tsize: '0', blksize: '1468' };
    client.request(serving.server.port, 'small', asked);
    const probe = await client.next();
    await leave(client, probe.from);
    const again = name.includes('same') ? asked : { blksize: '1468' };
    client.request(serving.server.port, 'small', again);
    const accepted = await client.next();
    t.like(accepted, {
      kind: 'oack',
      options: new Map(Object.entries({ ...again, ...(again === asked ? { tsize: '1300' } : {}) })),
    });
    t.not(accepted.from, probe.from);
    t.like(await serving.ended(), { outcome: 'probe', bytes: 0 });
    client.ack(0, accepted.from);
    const data = await client.next();
    t.true(data.kind === 'data' && data.data.equals(SMALL));
    client.ack(1, data.from);
    t.like(await serving.ended(), { outcome: 'complete', bytes: 1300 });
    await client.close();
    await serving.server.close();
  });
}

test('the same request again does not start a second transfer', async (t) => {
  const source = files();
  const serving = await serve(source);
  const client = await RawClient.open();
  for (let times = 0; times < 5; times += 1) client.request(serving.server.port, 'small');
  const first = await client.next();
  t.like(first, { kind: 'data', block: 1 });
  t.is(await client.within(200), undefined);
  t.is(serving.server.active(), 1);
  t.deepEqual(source.asked, ['small']);
  client.request(serving.server.port, 'empty'); // another one takes its place
  const other = await client.next();
  t.like(await serving.ended(), { path: 'small', outcome: 'aborted' });
  t.not(other.from, first.from);
  await client.close();
  await serving.server.close();
  t.is(source.unclosed, 0);
});

test('packets of strangers to a transfer’s port change nothing', async (t) => {
  const source = files();
  const serving = await serve(source);
  const client = await RawClient.open();
  const stranger = await RawClient.open();
  client.request(serving.server.port, 'small');
  const first = await client.next();
  stranger.send({ kind: 'error', code: 0, message: 'stop' }, first.from);
  stranger.ack(1, first.from);
  t.is(await stranger.within(200), undefined);
  client.ack(1, first.from);
  t.like(await client.next(), { kind: 'data', block: 2 });
  t.is(serving.events.length, 0);
  await Promise.all([client.close(), stranger.close()]);
  await serving.server.close();
});

const answers: readonly [name: string, packet: Buffer, expected: object | undefined][] = [
  [
    'a write',
    Buffer.from('\0\x02a\0octet\0', 'latin1'),
    { kind: 'error', code: 2, message: 'this server is read-only' },
  ],
  [
    'a missing file',
    Buffer.from('\0\x01none\0octet\0', 'latin1'),
    { kind: 'error', code: 1, message: 'no such file' },
  ],
  ['a way out', Buffer.from('\0\x01../etc/passwd\0octet\0', 'latin1'), { kind: 'error', code: 2 }],
  [
    'a way out with backslashes',
    Buffer.from('\0\x01..\\etc\\passwd\0octet\0', 'latin1'),
    { kind: 'error', code: 2 },
  ],
  ['no name', Buffer.from('\0\x01\0octet\0', 'latin1'), { kind: 'error', code: 2 }],
  ['mail', Buffer.from('\0\x01small\0mail\0', 'latin1'), { kind: 'error', code: 4 }],
  ['a request cut short', Buffer.from('\0\x01small', 'latin1'), { kind: 'error', code: 4 }],
  ['an acknowledgement', Buffer.from('00040001', 'hex'), undefined],
  ['an error', Buffer.from('0005000000', 'hex'), undefined],
  ['data', Buffer.from('000300016162', 'hex'), undefined],
  ['junk', Buffer.from('ffffffff', 'hex'), undefined],
  ['one byte', Buffer.of(0), undefined],
  ['nothing', Buffer.alloc(0), undefined],
];
for (const [name, packet, expected] of answers) {
  test(`${name} gets ${expected === undefined ? 'no answer' : JSON.stringify(expected)}`, async (t) => {
    const serving = await serve(files());
    const client = await RawClient.open();
    client.send(packet, serving.server.port);
    if (expected === undefined) t.is(await client.within(100), undefined);
    else t.like(await client.next(), expected);
    t.deepEqual(await client.fetch(serving.server.port, '\\boot\\.\\a b'), SMALL);
    await client.close();
    await serving.server.close();
  });
}

test('a file that fails to open or to read is an error to the client, not the end of the server', async (t) => {
  const good = files();
  const serving = await serve({
    open: async (path) => {
      if (path === 'broken') throw new Error('disk on fire');
      const file = await good.open('large');
      if (file === undefined || path === 'large') return file;
      return { ...file, size: file.size + 1 }; // ends early
    },
  });
  const client = await RawClient.open();
  client.request(serving.server.port, 'broken');
  t.like(await client.next(), { kind: 'error', code: 0, message: 'the file could not be opened' });
  t.like(await serving.ended(), { outcome: 'failed', detail: 'disk on fire' });
  await t.throwsAsync(client.fetch(serving.server.port, 'short'), { message: 'read error' });
  t.like(await serving.ended(), { outcome: 'failed' });
  t.deepEqual(await client.fetch(serving.server.port, 'large'), LARGE);
  await client.close();
  await serving.server.close();
  t.is(good.unclosed, 0);
});

test('clients that have gone are noticed, and 300 of them leave nothing behind', async (t) => {
  const source = files();
  const serving = await serve(source, { limits: { transfersPerClient: 1000 } });
  const request = Buffer.from('\0\x01large\0octet\0windowsize\x0016\0', 'latin1');
  for (let batch = 1; batch <= 6; batch += 1) {
    // All open before any closes: a port that is free again can be given to the next client, whose request is then
    // the same one again, from the same place, and rightly starts no second transfer.
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.open()));
    for (const client of clients) client.send(request, serving.server.port);
    await Promise.all(clients.map((client) => client.next()));
    await Promise.all(clients.map((client) => client.close()));
    for (let tries = 0; serving.events.length < batch * 50 && tries < 3000; tries += 1) await sleep(10);
    t.is(serving.events.length, batch * 50);
  }
  t.true(await settled(serving, source));
  // The kernel says that the port is closed; where it does not, silence says so later.
  t.deepEqual(
    serving.events.filter(({ outcome, bytes }) => !['probe', 'timeout'].includes(outcome) || bytes > 0),
    [],
  );
  const client = await RawClient.open();
  t.deepEqual(await client.fetch(serving.server.port, 'large'), LARGE);
  await client.close();
  await serving.server.close();
});

for (const [name, limits, most] of [
  ['in all', { transfers: 3 }, 3],
  ['for one address', { transfersPerClient: 2 }, 2],
  ['of memory', { memory: 3 * 70_000 }, 1],
] as const) {
  test(`a request above the limit ${name} is dropped, and served when asked again`, async (t) => {
    const source = files();
    const serving = await serve(source, { limits });
    const clients = await Promise.all([1, 2, 3, 4, 5].map(() => RawClient.open()));
    for (const client of clients) client.request(serving.server.port, 'large');
    const first = await Promise.all(clients.map((client) => client.within(300)));
    t.is(first.filter((packet) => packet !== undefined).length, most);
    t.true(source.unclosed <= most);
    for (const [index, packet] of first.entries()) {
      if (packet !== undefined)
        clients[index]?.send({ kind: 'error', code: 0, message: 'stop' }, packet.from);
    }
    t.true(await settled(serving, source));
    const waiting = clients[first.indexOf(undefined)];
    t.deepEqual(await waiting?.fetch(serving.server.port, 'large'), LARGE);
    await Promise.all(clients.map((client) => client.close()));
    await serving.server.close();
  });
}

for (const limits of [{ transfers: 3 }, { transfersPerClient: 3 }, { memory: 3 * 210_000 }]) {
  test(`at ${JSON.stringify(limits)} a transfer whose client took nothing gives way to another, one at work does not`, async (t) => {
    let now = 0;
    const source = files();
    const serving = await serve(source, { limits, now: () => now });
    const clients = await Promise.all([1, 2, 3].map(() => RawClient.open()));
    const from: number[] = [];
    for (const client of clients) {
      client.request(serving.server.port, 'large');
      from.push((await client.next()).from);
    }
    clients[0]?.ack(1, from[0] ?? 0);
    await clients[0]?.next();
    const late = await RawClient.open();
    late.request(serving.server.port, 'large');
    t.is(await late.within(200), undefined); // all are young
    now = 1500;
    t.deepEqual(await late.fetch(serving.server.port, 'large'), LARGE);
    const [evicted, complete] = [await serving.ended(), await serving.ended()];
    t.like(evicted, { outcome: 'aborted', client: { port: clients[1]?.port }, bytes: 0 });
    t.like(complete, { outcome: 'complete' });
    await Promise.all([...clients, late].map((client) => client.close()));
    await serving.server.close();
    t.is(source.unclosed, 0);
  });
}

test('quirks cap what a client gets, by its address and by its MAC address', async (t) => {
  const serving = await serve(files(), {
    quirks: [
      { network: '127.0.0.0/8', blksize: 1024 },
      { network: '10.0.0.0/8', blksize: 512 },
      { mac: '52:54:00', windowsize: 2 },
    ],
    macsOf: async (address) => (address === HOST ? ['52:54:00:00:00:01'] : []),
  });
  const client = await RawClient.open();
  client.request(serving.server.port, 'large', { blksize: '1468', windowsize: '16' });
  t.like(await client.next(), {
    kind: 'oack',
    options: new Map([
      ['blksize', '1024'],
      ['windowsize', '2'],
    ]),
  });
  await client.close();
  await serving.server.close();
});

test('a client whose options are ignored gets plain blocks', async (t) => {
  const serving = await serve(files(), { quirks: [{ network: '127.0.0.1/32', options: 'ignore' }] });
  const client = await RawClient.open();
  client.request(serving.server.port, 'small', { blksize: '1468', tsize: '0' });
  t.like(await client.next(), { kind: 'data', block: 1, data: SMALL.subarray(0, 512) });
  await client.close();
  await serving.server.close();
});

test('progress is told while a transfer runs', async (t) => {
  const progress: TftpProgressEvent[] = [];
  const serving = await serve(files(), { onProgress: (event) => progress.push(event) });
  const client = await RawClient.open();
  client.request(serving.server.port, 'large');
  for (let block = 1; progress.length === 0; block += 1) {
    const packet = await client.next();
    client.ack(block, packet.from);
    await sleep(20);
  }
  t.like(progress[0], { path: 'large', size: 300_000, client: { address: HOST } });
  t.is((progress[0]?.bytes ?? 1) % 512, 0);
  await client.close();
  await serving.server.close();
});

test('closing ends what runs, and tells its client', async (t) => {
  const source = files();
  const serving = await serve(source);
  const client = await RawClient.open();
  client.request(serving.server.port, 'large');
  const first = await client.next();
  client.ack(1, first.from);
  await client.next();
  await serving.server.close();
  t.like(await client.next(), { kind: 'error', code: 0, message: 'the server is closing' });
  t.is(source.unclosed, 0);
  t.is(serving.events.at(-1)?.outcome, 'aborted');
  await client.close();
});

test('IPv6 clients are served too', async (t) => {
  const serving = await serve(files(), { host: '::1' });
  const socket = createSocket('udp6');
  const answer = new Promise<Buffer>((resolve) => socket.once('message', resolve));
  socket.send(Buffer.from('\0\x01empty\0octet\0', 'latin1'), serving.server.port, '::1');
  t.is((await answer).toString('hex'), '00030001');
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  await serving.server.close();
});

for (const [name, host, code, words] of [
  ['a port in use', HOST, 'PORT_IN_USE', /ss -lunp/],
  ['an address of another machine', '192.0.2.1', 'NO_ADDRESS', /tftp\.listen/],
] as const) {
  test(`${name} is refused in one line`, async (t) => {
    const serving = await serve(files());
    const error = await t.throwsAsync<Error & { code: string }>(
      serve(files(), { host, port: serving.server.port }),
    );
    t.is(error?.code, code);
    t.regex(error?.message ?? '', words);
    t.notRegex(error?.message ?? '', /\n/);
    await serving.server.close();
  });
}
