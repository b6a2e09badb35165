import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { allRoutes, createApp } from '../../../src/api/app.js';
import { Metrics } from '../../../src/api/metrics.js';
import { writeGate } from '../../../src/api/write-gate.js';
import { createHttpServer } from '../../../src/pxe/http/server.js';
import { heapInUse } from '../heap.js';
import { FORBIDDEN, mutateRequest, requestSeeds, seeded } from './mutations.js';
import { bootFiles, runSite, until } from './running-site.js';

const SEED = 20260302;

/** Mutated requests; more with RACKBOOT_FUZZ_RUNS=1000000. */
const REQUESTS = Number(process.env['RACKBOOT_FUZZ_RUNS'] ?? 20_000);

/**
 * A connection without a network below it. What comes from `client` comes at once; its end comes when the server waits for
 * more, or has answered, so that no clock decides.
 */
class Wire extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly remoteFamily = 'IPv4';
  readonly #parts: Buffer[] = [];
  readonly #pending = new Set<IncomingMessage>();
  #isEnded = false;

  constructor(client: string, port: number, bytes: Buffer) {
    super({ allowHalfOpen: true });
    this.remoteAddress = client;
    this.remotePort = port;
    this.push(bytes);
  }

  /** Says that `request`, which came by this connection, is being answered. */
  began(request: IncomingMessage, response: ServerResponse): void {
    this.#pending.add(request);
    response.once('close', () => {
      this.#pending.delete(request);
      void this.endWhenIdle();
    });
  }

  /** Ends the client's side unless a request that came whole is being answered. */
  async endWhenIdle(): Promise<void> {
    for (let turn = 0; turn < 4; turn += 1) await nextTurn();
    if (this.#isEnded || [...this.#pending].some(({ complete }) => complete)) return;
    this.#isEnded = true;
    this.push(null);
  }

  override _read(): void {
    // Everything is pushed.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#parts.push(chunk);
    done();
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString('latin1');
  }
}

/** What the server says to `bytes` until it closes the connection. */
function talk(server: Server, wire: Wire, { endsWhenIdle = true } = {}): Promise<string> {
  return new Promise((resolve) => {
    wire.once('close', () => resolve(wire.text));
    wire.once('finish', () => wire.destroy());
    server.emit('connection', wire);
    if (endsWhenIdle) void wire.endWhenIdle();
  });
}

test(`${REQUESTS} mutated requests: every one is answered or cut off, nobody gets another’s, nothing grows`, async (t) => {
  t.timeout(120_000 + REQUESTS * 10);
  const site = await runSite(t);
  const nodes = ['n1', 'n2'] as const;
  const addressOf = { n1: '127.0.0.11', n2: '127.0.0.12' };
  for (const [at, name] of nodes.entries())
    await site.addNode({
      name,
      macs: [`52:54:00:00:00:0${at + 1}`],
      ip: addressOf[name],
      attributes: { secret: `secret-of-${name}` },
    });
  const small = Buffer.from('small\n'.repeat(50));
  const id = await site.publish({
    name: 'd12',
    files: { ...bootFiles, small },
    tree: { small },
    answer: 'password: {{ node.attributes.secret }}',
  });
  for (const name of nodes) await site.assign(name, {});
  const { service } = site.servers;
  const metrics = new Metrics();
  const server = createHttpServer(
    createApp(allRoutes(service, metrics, writeGate('a token')), service, metrics),
  );
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const wire: Duplex = request.socket;
    if (wire instanceof Wire) wire.began(request, response);
  });
  t.teardown(() => server.emit('close'));

  const random = seeded(SEED);
  const originals = requestSeeds(id).flatMap((text) => [text, text.replaceAll('n1', 'n2')]);
  const clients = [...Object.values(addressOf), '127.0.0.99'];
  let sent = 0;
  let answered = 0;
  let port = 1;
  const leaks: string[] = [];
  const storm = async (until_: number): Promise<void> => {
    while (sent < until_) {
      const batch = Array.from({ length: random(10) === 0 ? 4 : 1 }, () =>
        mutateRequest(originals[random(originals.length)] ?? '', random),
      );
      sent += batch.length;
      const client = clients[random(clients.length)] ?? '';
      port = (port % 65_535) + 1;
      const text = await talk(server, new Wire(client, port, Buffer.concat(batch)));
      if (text.startsWith('HTTP/1.1 ')) answered++;
      if (FORBIDDEN.test(text) || /HTTP\/1\.1 500/.test(text)) leaks.push(text.slice(0, 300));
      for (const name of nodes) {
        if (client === addressOf[name]) continue;
        // A token, or what it would be exchanged for, is the node’s alone.
        if (text.includes(`secret-of-${name}`) || text.includes(`/nodes/${name}/answerfile?token=`))
          leaks.push(`${client} got what is ${name}’s: ${text.slice(0, 300)}`);
      }
    }
  };
  const workers = (until_: number): Promise<unknown> =>
    Promise.all(Array.from({ length: 16 }, () => storm(until_)));
  await workers(Math.ceil(REQUESTS / 2));
  site.log.length = 0;
  const before = await heapInUse();
  await workers(REQUESTS);
  site.log.length = 0;
  const grown = (await heapInUse()) - before;
  t.deepEqual(leaks.slice(0, 5), []);
  t.true(answered > REQUESTS / 2, `${answered} answers`);
  t.true(grown < 24 * 2 ** 20, `${grown} bytes more after ${REQUESTS / 2} requests more`);
  await until(() => service.transfers.totals.active === 0);
  const good = new Wire(
    '127.0.0.11',
    1,
    Buffer.from('GET /nodes/n1/boot.ipxe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
  );
  t.regex(
    await talk(server, good, { endsWhenIdle: false }),
    /\/nodes\/n1\/answerfile\?token=/,
    'a good client is still served',
  );
});
