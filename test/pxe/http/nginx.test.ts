import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { nginxConfig } from '../../../src/pxe/http/nginx-config.js';
import { defaultConfig } from '../../../src/site/config.js';
import { ask, digestOf, runSite, until, type RunningSite } from './running-site.js';
import { freePort } from '../../free-port.js';

const run = promisify(execFile);
const NGINX = '/usr/sbin/nginx';
const NODE = '127.0.0.11';

/** nginx in front of `site`; the port it listens on. */
async function startNginx(t: ExecutionContext, site: RunningSite): Promise<number> {
  await access(NGINX).catch(() => t.fail('nginx is missing; install the Debian package nginx-light'));
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-nginx-'));
  await mkdir(join(dir, 'cache'));
  const port = await freePort();
  const { config } = site.servers.service;
  const text = nginxConfig(
    { ...config, http: { ...config.http, listen: `127.0.0.1:${site.port}` } },
    { listen: `127.0.0.1:${port}`, cache: join(dir, 'cache'), cacheGigabytes: 1 },
  );
  await writeFile(join(dir, 'rackboot.conf'), text);
  const own = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${join(dir, name)};\n`)
    .join('');
  await writeFile(
    join(dir, 'nginx.conf'),
    `daemon off;\nuser root;\nworker_processes 1;\npid ${join(dir, 'pid')};\nerror_log stderr;\nevents {}\nhttp {\n  access_log off;\n${own}  include ${join(dir, 'rackboot.conf')};\n}\n`,
  );
  const args = ['-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')];
  await run(NGINX, ['-t', ...args]);
  const nginx = spawn(NGINX, args, { stdio: 'ignore' });
  t.teardown(async () => {
    nginx.kill('SIGTERM');
    if (nginx.exitCode === null) await once(nginx, 'exit');
    await rm(dir, { recursive: true });
  });
  await until(() =>
    ask({ port }, '/healthz').then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  return port;
}

test('nginx sends what never changes out of its cache, whole and in ranges', async (t) => {
  const site = await runSite(t, { http: { proxies: ['127.0.0.1'] } });
  const linux = randomBytes(9_500_000);
  const id = await site.publish({
    name: 'd12',
    files: { linux, 'initrd.gz': Buffer.from('x') },
    tree: { 'Packages/libstdc++-1.rpm': randomBytes(5000), empty: Buffer.alloc(0) },
  });
  const port = await startNginx(t, site);
  const path = `/images/d12@${id}/files/linux`;
  const whole = await ask({ port }, path, { from: NODE });
  t.is(digestOf(whole.body), digestOf(linux));
  t.is(whole.headers.etag, `"${digestOf(linux)}"`);
  t.is(whole.headers['cache-control'], 'public, max-age=31536000, immutable');
  const { totals } = site.servers.service.transfers;
  const before = totals.finished;
  const { stdout } = await run('curl', ['-sf', `http://127.0.0.1:${port}${path}`], {
    encoding: 'buffer',
    maxBuffer: 1 << 26,
  });
  t.is(digestOf(stdout), digestOf(linux));
  const part = await ask({ port }, path, { headers: { Range: 'bytes=4194300-4194310' } });
  t.is(part.status, 206);
  t.is(part.headers['content-range'], 'bytes 4194300-4194310/9500000');
  t.deepEqual(part.body, linux.subarray(4_194_300, 4_194_311));
  const head = await ask({ port }, path, { method: 'HEAD' });
  t.is(head.headers['content-length'], '9500000');
  const same = { 'If-None-Match': whole.headers.etag ?? '' };
  t.is((await ask({ port }, path, { headers: same })).status, 304);
  t.is(site.servers.service.transfers.totals.finished, before);
  const tree = `/images/d12@${id}/tree`;
  t.is((await ask({ port }, `${tree}/Packages/libstdc%2B%2B-1.rpm`)).body.length, 5000);
  t.is((await ask({ port }, `${tree}/empty`)).status, 200);
  t.is((await ask({ port }, `${tree}/nope`)).status, 404);
  t.is((await ask({ port }, '/images/d12/tree/empty')).status, 302);
});

test('through nginx a node is itself, and nobody else is', async (t) => {
  const site = await runSite(t, { http: { proxies: ['127.0.0.1'] } });
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: NODE });
  await site.publish({ name: 'd12', answer: 'secret' });
  await site.assign('n1', {});
  const port = await startNginx(t, site);
  const forged = { 'X-Forwarded-For': NODE };
  for (const [where, from, headers] of [
    [{ port }, '127.0.0.12', {}],
    [{ port }, '127.0.0.12', forged],
    [site, '127.0.0.12', forged],
  ] as const) {
    const { text } = await ask(where, '/nodes/n1/boot.ipxe', { from, headers });
    t.regex(text, /no answer file token: asked for from 127\.0\.0\.12/);
    t.notRegex(text, /token=/);
  }
  const script = (await ask({ port }, '/nodes/n1/boot.ipxe', { from: NODE })).text;
  const answer = /\/nodes\/n1\/answerfile\?token=[\w.-]+/.exec(script)?.[0] ?? '';
  t.is((await ask({ port }, answer, { from: '127.0.0.12', headers: forged })).status, 403);
  t.is((await ask({ port }, answer, { from: NODE })).text, 'secret');
  t.is((await ask({ port }, '/nodes/n1/iso', { from: '127.0.0.12' })).status, 403);
  const write = await ask({ port }, '/api/v1/nodes/n1/assignment', {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: '{"target":"boot"}',
  });
  t.is(write.status, 403);
});

test('nginx lets as many boot files at once into a rack as we do', async (t) => {
  const site = await runSite(t, { http: { proxies: ['127.0.0.1'], transfersPerRack: 1 } });
  const linux = randomBytes(40_000_000);
  const id = await site.publish({ name: 'd12', files: { linux, 'initrd.gz': Buffer.from('x') } });
  const port = await startNginx(t, site);
  const path = `/images/d12@${id}/files/linux`;
  await ask({ port }, path);
  const slow = spawn('curl', [
    '-s',
    '--limit-rate',
    '100k',
    '-o',
    '/dev/null',
    `http://127.0.0.1:${port}${path}`,
  ]);
  t.teardown(() => slow.kill());
  await until(async () => (await ask({ port }, path, { headers: { Range: 'bytes=0-0' } })).status === 503);
  const busy = await ask({ port }, path);
  t.is(busy.status, 503);
  const after = Number(busy.headers['retry-after']);
  t.true(after >= 2 && after <= 60, String(after));
  t.is((await ask({ port }, path, { from: '127.0.9.1' })).status, 200);
  t.is((await ask({ port }, '/boot.ipxe')).status, 200);
});

test('racks, listen addresses and a cache that is no directory', (t) => {
  const config = defaultConfig();
  const options = { listen: '[::]:80', cache: '/var/cache/x', cacheGigabytes: 5 };
  const text = nginxConfig({ ...config, http: { ...config.http, listen: '0.0.0.0:8080' } }, options);
  t.true(text.includes('server 127.0.0.1:8080;'));
  t.true(text.includes('listen [::]:80;'));
  t.throws(() => nginxConfig(config, { ...options, cache: '/x; evil' }), { instanceOf: RangeError });
  t.throws(() => nginxConfig(config, { ...options, listen: 'x' }), { instanceOf: RangeError });
});
