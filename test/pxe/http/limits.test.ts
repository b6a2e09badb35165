import { once } from 'node:events';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { httpLimitsOf, listenHttp } from '../../../src/pxe/http/server.js';
import { HTTP_LIMITS } from '../../../src/site/limits-config.js';
import { ask, bootFiles, runSite, until, type RunningSite } from './running-site.js';

const own = { from: '127.0.0.11' };

/** What other routes than the server itself keep to. */
const elsewhere = new Set(['transfersPerClient', 'transferWait', 'eventStreams']);

for (const [name, { unit, ...limit }] of Object.entries(HTTP_LIMITS) as [
  keyof typeof HTTP_LIMITS,
  { least: number; usual: number; unit?: string },
][]) {
  if (elsewhere.has(name)) continue;
  test(`http.limits.${name} sets one limit of the server`, (t) => {
    const value = limit.least + 6;
    const usual: readonly unknown[] = Object.values(httpLimitsOf({ limits: {} }));
    const set: readonly unknown[] = Object.values(httpLimitsOf({ limits: { [name]: value } }));
    const changed = set.filter((is, at) => String(is) !== String(usual[at]));
    t.deepEqual(changed, [unit === 'seconds' ? value * 1000 : value]);
  });
}

/** Sends `text`, and gives all that comes back until the other end closes. */
async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  let answer = '';
  socket.on('data', (chunk: string) => (answer += chunk)).on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

const get = (fields = ''): string => `GET / HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;

test('a connection is closed after so many requests', async (t) => {
  const limits = httpLimitsOf({ limits: { requestsPerConnection: 3 } });
  const server = await listenHttp((_req, res) => void res.end('ok'), '127.0.0.1', 0, limits);
  t.teardown(() => server.close());
  const answers = (await exchange(server.port, get().repeat(5))).match(/HTTP\/1\.1 \d+/g) ?? [];
  t.deepEqual(
    answers.filter((line) => line.endsWith(' 200')),
    Array(3).fill('HTTP/1.1 200'),
  );
  t.true(
    answers.slice(3).every((line) => line.endsWith(' 503')),
    answers.join(),
  );
});

test('a header above the limit is refused, one below it is not', async (t) => {
  const limits = httpLimitsOf({ limits: { headerBytes: 4096 } });
  const server = await listenHttp((_req, res) => void res.end('ok'), '127.0.0.1', 0, limits);
  t.teardown(() => server.close());
  const close = 'Connection: close\r\n';
  t.regex(await exchange(server.port, get(`${close}X-A: ${'b'.repeat(3000)}\r\n`)), /^HTTP\/1\.1 200 /);
  t.regex(await exchange(server.port, get(`${close}X-A: ${'b'.repeat(5000)}\r\n`)), /^HTTP\/1\.1 431 /);
});

test('fields of a header above the limit are not read', async (t) => {
  const limits = httpLimitsOf({ limits: { headers: 10 } });
  const server = await listenHttp(
    (req, res) => void res.end(Object.keys(req.headers).sort().join()),
    '127.0.0.1',
    0,
    limits,
  );
  t.teardown(() => server.close());
  const fields = Array.from({ length: 30 }, (_, at) => `X-${at}: y\r\n`).join('');
  const answer = await exchange(server.port, get(`Connection: close\r\n${fields}`));
  t.regex(answer, /\bx-7\b/);
  t.notRegex(answer, /\bx-8\b/);
});

/** Takes the only transfer of the rack until the returned function is called. */
async function holdRack(site: RunningSite, path: string): Promise<() => void> {
  const socket = connect({ host: '127.0.0.1', port: site.port, localAddress: '127.0.0.12' });
  socket.on('error', () => undefined);
  socket.pause().write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until(() => site.servers.service.transfers.totals.active === 1);
  return () => socket.destroy();
}

test('a boot file waits in line for http.limits.transferWait, and no less', async (t) => {
  const [patient, usual] = await Promise.all(
    [{ transferWait: 3600 }, {}].map(async (limits) => {
      const site = await runSite(t, { http: { transfersPerRack: 1, limits } });
      const large = Buffer.alloc(24 * 2 ** 20, 'large file ');
      const id = await site.publish({ name: 'd12', files: { large, small: Buffer.from('small') } });
      const release = await holdRack(site, `/images/d12@${id}/files/large`);
      return { release, ask: () => ask(site, `/images/d12@${id}/files/small`, own) };
    }),
  );
  if (patient === undefined || usual === undefined) return t.fail();
  const waiting = patient.ask();
  const refused = await usual.ask();
  t.is(refused.status, 503);
  t.regex(String(refused.headers['retry-after']), /^[1-9]\d?$/);
  patient.release();
  t.is((await waiting).text, 'small');
  usual.release();
});

/** A site whose node has got its boot script. */
async function scripted(t: ExecutionContext, change: Parameters<typeof runSite>[1]) {
  const site = await runSite(t, change);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: own.from });
  await site.publish({ name: 'd12', files: bootFiles, answer: 'secret' });
  await site.assign('n1', {});
  return { site, script: (await ask(site, '/nodes/n1/boot.ipxe', own)).text };
}

for (const [seconds, status] of [
  [59, 200],
  [61, 403],
] as const) {
  test(`a token of install.tokenTtl 60 after ${seconds} s: ${status}`, async (t) => {
    const { site, script } = await scripted(t, { install: { tokenTtl: 60 } });
    site.clock.now += seconds * 1000;
    const path = /\S+answerfile\?token=\S+/.exec(script)?.[0].replace(/^.*?\/nodes/, '/nodes') ?? '';
    t.is((await ask(site, path, own)).status, status);
  });
}

for (const [seconds, gone] of [
  [59, 0],
  [61, 1],
] as const) {
  test(`a generation of serve.holdGenerations 60 after ${seconds} s: gc takes ${gone}`, async (t) => {
    const { site } = await scripted(t, { serve: { holdGenerations: 60 } });
    await site.publish({ name: 'd12', files: { linux: Buffer.from('next') } });
    site.clock.now += seconds * 1000;
    t.is((await site.store.gc({ dryRun: false, keep: 1 })).generations, gone);
  });
}
