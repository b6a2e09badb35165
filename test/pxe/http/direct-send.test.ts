import { once } from 'node:events';
import { open, readdir, rm, truncate } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { handedBytes } from '../../../src/pxe/http/direct-send.js';
import { sendBytes, type SentBytes } from '../../../src/pxe/http/send-bytes.js';
import { listenHttp } from '../../../src/pxe/http/server.js';
import { countsReads } from '../../../src/store/counted-reads.js';
import { sha256 } from '../../../src/store/digest.js';
import { coalesce, readPieces, readRange, type ExtentMap, type Part } from '../../../src/store/extents.js';
import type { Store } from '../../../src/store/records.js';
import { fromLibc } from '../../../src/system/libc.js';
import { noise, putAll, temporaryStore } from '../../store/temporary-site.js';
import { until } from './running-site.js';

const KIB = 1024;
const MIB = 1024 * KIB;

interface Server {
  readonly port: number;
  readonly sent: Promise<SentBytes | Error>[]; // how each response ended
  readonly sockets: Set<Socket>; // of connections, as the server has them
  /** Bytes that were handed to the kernel, and those of them that were sent past Node. */
  handed(): number;
  past(): number;
  /** How many readings were begun that were neither read to their end nor let go. */
  reading(): number;
}

/** Whether files of these tests are sent directly: with TMPDIR on FUSE, say, they are read instead. */
async function areSentDirectly(dir: string): Promise<boolean> {
  const handle = await open(dir);
  try {
    return await countsReads(handle.fd);
  } finally {
    await handle.close();
  }
}

/** `source` with its first piece read, as artifacts are opened; `onEnd` is told once when it is read or let go. */
async function begun<P>(source: AsyncIterable<P>, onEnd: () => void): Promise<AsyncIterable<P>> {
  const iterator = source[Symbol.asyncIterator]();
  let first: IteratorResult<P> | undefined = await iterator.next();
  let hasEnded = false;
  const end = (): void => {
    if (!hasEnded) onEnd();
    hasEnded = true;
  };
  const reading: AsyncIterator<P> = {
    next: async () => {
      const result = first ?? (await iterator.next());
      first = undefined;
      if (result.done === true) end();
      return result;
    },
    return: async () => {
      end();
      return (await iterator.return?.()) ?? { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => reading };
}

/** Serves the artifact of `map`, whatever the URL. */
async function serve(t: ExecutionContext, store: Store, map: ExtentMap): Promise<Server> {
  const sent: Promise<SentBytes | Error>[] = [];
  const sockets = new Set<Socket>();
  let reading = 0;
  const open = <P>(source: AsyncIterable<P>): Promise<AsyncIterable<P>> => {
    reading += 1;
    return begun(source, () => (reading -= 1));
  };
  const listener = await listenHttp(
    (req, res: ServerResponse) => {
      sockets.add(req.socket);
      const request = {
        method: 'GET',
        req,
        res,
        params: {},
        query: new URLSearchParams(),
        client: '',
      } as const;
      const answer = sendBytes(
        { ...request, isLocal: true },
        {
          size: map.size,
          sha256: sha256('x'),
          contentType: 'a/b',
          cacheControl: 'no-cache',
          read: (start, end) => open(readRange(map, store.blobs, start, end, 'lent')),
          pieces: (start, end) => open(readPieces(map, store.blobs, start, end)),
        },
      );
      sent.push(
        answer.catch((error: Error) => {
          res.destroy();
          return error;
        }),
      );
    },
    '127.0.0.1',
    0,
    { connectionsPerClient: 1000 },
  );
  t.teardown(() => listener.close());
  const sum = (bytes: (socket: Socket) => number): number =>
    [...sockets].reduce((total, socket) => total + bytes(socket), 0);
  const handed = (): number => sum(handedBytes);
  const past = (): number => sum((socket) => handedBytes(socket) - socket.bytesWritten);
  return { port: listener.port, sent, sockets, handed, past, reading: () => reading };
}

function bytesOf(map: ExtentMap, blobs: ReadonlyMap<string, Buffer>): Buffer {
  return Buffer.concat(
    map.parts.map((part) => {
      if (part.kind === 'inline') return part.bytes;
      if (part.kind === 'zero') return Buffer.alloc(part.length);
      return blobs.get(part.blob)!.subarray(part.offset, part.offset + part.length);
    }),
  );
}

/** Blobs of many sizes in several packs. */
async function blobsIn(store: Store): Promise<Map<string, Buffer>> {
  const blobs = new Map<string, Buffer>();
  for (const sizes of [[100, 70 * KIB + 1, 300 * KIB], [MIB + 4097, 5000, 64 * KIB], [2 * MIB]]) {
    const contents = sizes.map((size, index) => noise(blobs.size + index + 1, size));
    for (const [index, digest] of (await putAll(store, contents)).entries())
      blobs.set(digest, contents[index]!);
  }
  return blobs;
}

function mapsOf(blobs: ReadonlyMap<string, Buffer>): fc.Arbitrary<ExtentMap> {
  const slice = fc
    .tuple(fc.constantFrom(...blobs), fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
    .map(([[blob, bytes], fraction, isHead]): Part => {
      const cut = Math.floor(bytes.length * fraction * 0.9);
      const [offset, end] = isHead ? [0, bytes.length - cut] : [cut, bytes.length];
      return { kind: 'blob', blob: blob as never, offset, length: end - offset };
    });
  const literal = fc
    .integer({ min: 1, max: 5000 })
    .map((size): Part => ({ kind: 'inline', bytes: noise(size, size) }));
  const zeros = fc.integer({ min: 1, max: 100_000 }).map((length): Part => ({ kind: 'zero', length }));
  const part = fc.oneof({ weight: 5, arbitrary: slice }, literal, zeros);
  return fc.array(part, { minLength: 1, maxLength: 12 }).map(coalesce);
}

/** What a client does: the ranges it asks for in one go (none: the whole), how it reads, and when it goes away. */
interface Manners {
  readonly asks: readonly (readonly (readonly [number, number])[])[]; // as fractions of the size
  readonly stalls: readonly number[]; // milliseconds to wait at each MiB
  readonly leavesAt: number | undefined; // fraction of what it expects
}

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const range = fc.tuple(fraction, fraction).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const manners: fc.Arbitrary<Manners> = fc.record({
  asks: fc.array(fc.array(range, { maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  stalls: fc.array(fc.constantFrom(0, 0, 3, 20), { maxLength: 4 }),
  leavesAt: fc.option(fraction, { nil: undefined, freq: 4 }),
});

const requestOf = (header: string): string => `GET /x HTTP/1.1\r\nHost: x\r\n${header}\r\n`;

/** Sends all requests at once, reads as `stalls` says until the server closes, or `leave` bytes have come. */
async function converse(
  port: number,
  requests: readonly string[], // the rest of their headers
  stalls: readonly number[] = [],
  leave = Infinity,
): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => undefined);
  const last = requests.length - 1;
  socket.write(
    requests
      .map((header, at) => requestOf(`${header}${at === last ? 'Connection: close\r\n' : ''}`))
      .join(''),
  );
  const chunks: Buffer[] = [];
  let size = 0;
  let stalled = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= leave) break;
    if (size / MIB > stalled && stalled < stalls.length) await sleep(stalls[stalled++]);
  }
  socket.destroy();
  return Buffer.concat(chunks);
}

/** The bodies of the responses that `received` holds; a body is as long as its header says. */
function bodiesOf(
  received: Buffer,
): { readonly header: string; readonly body: Buffer; readonly isWhole: boolean }[] {
  const bodies = [];
  for (let at = 0; at < received.length;) {
    const blank = received.indexOf('\r\n\r\n', at);
    if (blank === -1) break;
    const header = received.toString('latin1', at, blank);
    const length = Number(/^content-length: (\d+)/im.exec(header)?.[1]);
    const body = received.subarray(blank + 4, blank + 4 + length);
    bodies.push({ header, body, isWhole: body.length === length });
    at = blank + 4 + length;
  }
  return bodies;
}

/** What a multipart body of `ranges` must be, with the boundary that `header` names. */
function multipartOf(ranges: readonly (readonly [number, number])[], whole: Buffer, header: string): Buffer {
  const boundary = /boundary=(\S+)/.exec(header)?.[1] ?? '';
  return Buffer.concat([
    ...ranges.flatMap(([first, last], at) => [
      Buffer.from(
        `${at === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: a/b\r\nContent-Range: bytes ${first}-${last}/${whole.length}\r\n\r\n`,
      ),
      whole.subarray(first, last + 1),
    ]),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
}

test('property: any ranges of any map, to any reader, are their bytes; several on a connection', async (t) => {
  const { store, site } = await temporaryStore(t);
  const blobs = await blobsIn(store);
  let past = 0;
  await fc.assert(
    fc.asyncProperty(mapsOf(blobs), manners, async (map, { asks, stalls, leavesAt }) => {
      const whole = bytesOf(map, blobs);
      const server = await serve(t, store, map);
      const inBytes = asks.map((ranges) =>
        ranges.map(([a, b]) => [Math.floor(a * (map.size - 1)), Math.floor(b * (map.size - 1))] as const),
      );
      const received = await converse(
        server.port,
        inBytes.map((ranges) =>
          ranges.length === 0 ? '' : `Range: bytes=${ranges.map((each) => each.join('-')).join(',')}\r\n`,
        ),
        stalls,
        leavesAt === undefined ? undefined : leavesAt * map.size,
      );
      for (const [at, { header, body, isWhole }] of bodiesOf(received).entries()) {
        const ranges = inBytes[at]!;
        const single = /^content-range: bytes (\d+)-(\d+)/im.exec(header);
        const isMultipart = header.includes('multipart/byteranges');
        // Ranges that touch are joined: then the header says what is in the body.
        const listed = isMultipart
          ? [...body.toString('latin1').matchAll(/\r\nContent-Range: bytes (\d+)-(\d+)\//g)].map(
              ([, first, last]) => [Number(first), Number(last)] as const,
            )
          : [];
        const expected = isMultipart
          ? multipartOf(listed, whole, header)
          : single === null
            ? whole
            : whole.subarray(Number(single[1]), Number(single[2]) + 1);
        t.true(ranges.length > 0 || single === null);
        if (isWhole || !isMultipart) t.true(expected.subarray(0, body.length).equals(body));
        if (isWhole) t.is(body.length, expected.length);
      }
      if (leavesAt === undefined)
        t.is(bodiesOf(received).filter(({ isWhole }) => isWhole).length, asks.length);
      past += server.past();
      for (const answer of await Promise.all(server.sent))
        t.false(answer instanceof Error, answer instanceof Error ? answer.message : undefined);
    }),
    { numRuns: 60 },
  );
  t.is(past > 10 * MIB, await areSentDirectly(site.paths.store), `${past} bytes went past Node`);
});

/** A map of `count` times one MiB, with a literal before each; its bytes. */
async function largeMap(store: Store, count: number): Promise<{ map: ExtentMap; whole: Buffer }> {
  const block = noise(7, MIB);
  const [blob] = await putAll(store, [block]);
  const parts: Part[] = Array.from({ length: count }, (_, at): Part[] => [
    { kind: 'inline', bytes: Buffer.from(`part ${at}`) },
    { kind: 'blob', blob: blob!, offset: 0, length: MIB },
  ]).flat();
  const map = coalesce(parts);
  return { map, whole: bytesOf(map, new Map([[blob!, block]])) };
}

test('a reader that stops gets the rest when it goes on, and the next response after it', async (t) => {
  const { store } = await temporaryStore(t);
  const { map, whole } = await largeMap(store, 32);
  const server = await serve(t, store, map);
  const socket = connect({ host: '127.0.0.1', port: server.port });
  socket.write(requestOf('') + requestOf('Range: bytes=5-99\r\n') + requestOf('Connection: close\r\n'));
  await once(socket, 'readable');
  // Until nothing more goes: the connection has no room.
  let handed = -1;
  await until(async () => {
    const before = handed;
    handed = server.handed();
    await sleep(100);
    return handed > 0 && handed === before;
  });
  t.true(handed < map.size, 'all went although nobody read');
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  const bodies = bodiesOf(Buffer.concat(chunks));
  t.deepEqual(
    bodies.map(({ body }) => body.length),
    [whole.length, 95, whole.length],
  );
  t.true(bodies[0]!.body.equals(whole));
  t.true(bodies[1]!.body.equals(whole.subarray(5, 100)));
  t.true(bodies[2]!.body.equals(whole));
  const answers = (await Promise.all(server.sent)) as SentBytes[];
  t.deepEqual(
    answers.map(({ bytes, isWhole }) => [bytes, isWhole]),
    [
      [whole.length, true],
      [95, false],
      [whole.length, true],
    ],
  );
});

const getSocketOption = fromLibc((c) =>
  c.declare<[number, number, number, Int32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>], number>(
    'int getsockopt(int descriptor, int level, int name, _Out_ int32_t *value, _Inout_ uint32_t *size)',
  ),
);

/** Whether a connection sends full packets only: TCP_CORK of tcp(7). */
function isCorked(socket: Socket): boolean {
  const { fd } = (socket as Socket & { _handle: { fd: number } })._handle;
  const value = new Int32Array(1);
  if (getSocketOption()?.(fd, 6, 3, value, new Uint32Array([4])) !== 0) throw new Error('not a TCP socket');
  return value[0] === 1;
}

test('packets are full from the header of a long body on, and leave at once when it has gone', async (t) => {
  const { store, site } = await temporaryStore(t);
  const { map, whole } = await largeMap(store, 32);
  const server = await serve(t, store, map);
  const socket = connect({ host: '127.0.0.1', port: server.port });
  socket.write(requestOf(''));
  await until(() => server.handed() > 0);
  const [connection] = server.sockets;
  t.is(isCorked(connection!), await areSentDirectly(site.paths.store));
  let size = 0;
  socket.on('data', (chunk: Buffer) => (size += chunk.length));
  await Promise.all(server.sent);
  t.false(isCorked(connection!));
  await until(() => size > whole.length);
  socket.destroy();
});

test('a client that goes away while the connection has no room ends its response, and others go on', async (t) => {
  const { store } = await temporaryStore(t);
  const { map, whole } = await largeMap(store, 32);
  const server = await serve(t, store, map);
  const gone = connect({ host: '127.0.0.1', port: server.port });
  gone.write(requestOf(''));
  await once(gone, 'readable');
  const staying = connect({ host: '127.0.0.1', port: server.port });
  staying.write(requestOf('Connection: close\r\n'));
  let size = 0;
  for await (const chunk of staying as AsyncIterable<Buffer>) {
    if (size === 0) gone.resetAndDestroy();
    size += chunk.length;
  }
  t.true(size > whole.length);
  const [first, second] = (await Promise.all(server.sent)) as SentBytes[];
  t.like(first, { isComplete: false });
  t.true((first?.bytes ?? 0) < whole.length);
  t.like(second, { isComplete: true, bytes: whole.length });
  await until(() => [...server.sockets].every((socket) => socket.destroyed));
});

for (const [what, header] of [
  ['the whole', ''],
  ['several ranges', 'Range: bytes=0-399999,5000000-5999999\r\n'],
] as const) {
  test(`${what}: what was opened for a client that goes before its first byte is let go`, async (t) => {
    const { store } = await temporaryStore(t);
    const { map } = await largeMap(store, 32);
    const server = await serve(t, store, map);
    const gone = connect({ host: '127.0.0.1', port: server.port });
    gone.write(requestOf(header).repeat(3));
    await until(() => server.sent.length === 3 && server.reading() === 3);
    gone.resetAndDestroy();
    await Promise.all(server.sent);
    t.is(server.reading(), 0);
  });
}

test('a pack that ends early breaks the connection off, after bytes that are right', async (t) => {
  const { store, site } = await temporaryStore(t);
  const block = noise(3, 3 * MIB);
  const [blob] = await putAll(store, [block]);
  const map: ExtentMap = {
    size: block.length,
    parts: [{ kind: 'blob', blob: blob!, offset: 0, length: block.length }],
  };
  const server = await serve(t, store, map);
  const [pack = ''] = await readdir(join(site.paths.store, 'packs'));
  const cut = 2 * MIB + 4099;
  for (const isKnown of [true, false]) {
    // Known: what was there a moment ago is taken to be there still, and sent without a look.
    if (isKnown) t.true(bodiesOf(await converse(server.port, ['']))[0]?.isWhole);
    await truncate(join(site.paths.store, 'packs', pack), cut);
    const received = await converse(server.port, ['']);
    const [answer] = bodiesOf(received);
    t.false(answer?.isWhole);
    t.true(block.subarray(0, answer?.body.length).equals(answer?.body ?? block));
    t.true((answer?.body.length ?? 0) <= cut);
    t.is(((await server.sent.at(-1)) as { code?: string }).code, 'PACK_DAMAGED');
  }
});

test('a pack that is removed while it is sent is sent to its end', async (t) => {
  const { store, site } = await temporaryStore(t);
  const block = noise(3, 24 * MIB);
  const [blob] = await putAll(store, [block]);
  const map: ExtentMap = {
    size: block.length,
    parts: [{ kind: 'blob', blob: blob!, offset: 0, length: block.length }],
  };
  const server = await serve(t, store, map);
  const socket = connect({ host: '127.0.0.1', port: server.port });
  socket.write(requestOf('Connection: close\r\n'));
  await once(socket, 'readable');
  const [pack = ''] = await readdir(join(site.paths.store, 'packs'));
  await rm(join(site.paths.store, 'packs', pack));
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  t.true(bodiesOf(Buffer.concat(chunks))[0]!.body.equals(block));
  t.is(server.past() > 12 * MIB, await areSentDirectly(site.paths.store));
});
