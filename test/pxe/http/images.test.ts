import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { ask, type Answer, bootFiles, digestOf, runSite, until } from './running-site.js';

const run = promisify(execFile);
const binary = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024, timeout: 30_000 } as const;

test('curl and busybox wget fetch what was published, whole and in parts', async (t) => {
  const site = await runSite(t);
  const tree = {
    '.treeinfo': Buffer.from('[general]\n'),
    'Packages/libstdc++-1.rpm': randomBytes(70_000),
    empty: Buffer.alloc(0),
  };
  const id = await site.publish({ name: 'd12', tree });
  const files = `${site.url}/images/d12@${id}/files`;
  const initrd = bootFiles['initrd.gz'];

  const whole = await run('curl', ['-sf', `${files}/initrd.gz`], binary);
  t.is(digestOf(whole.stdout), digestOf(initrd));
  const wget = await run('busybox', ['wget', '-q', '-O', '-', `${files}/linux`], binary);
  t.is(digestOf(wget.stdout), digestOf(bootFiles.linux));
  const part = await run('curl', ['-sf', '-r', '399990-400110', `${files}/initrd.gz`], binary);
  t.deepEqual(part.stdout, initrd.subarray(399_990, 400_111));

  for (const [path, expected] of [
    ['.treeinfo', tree['.treeinfo']],
    ['Packages/libstdc++-1.rpm', tree['Packages/libstdc++-1.rpm']],
    ['Packages/libstdc%2B%2B-1.rpm', tree['Packages/libstdc++-1.rpm']],
    ['/Packages//libstdc++-1.rpm', tree['Packages/libstdc++-1.rpm']],
    ['empty', tree.empty],
  ] as const) {
    const { stdout } = await run(
      'curl',
      ['-sf', '--path-as-is', `${site.url}/images/d12@${id}/tree/${path}`],
      binary,
    );
    t.is(digestOf(stdout), digestOf(expected), path);
  }
  const short = await ask(site, `/images/d12@${id.slice(0, 12)}/files/linux`);
  t.is(digestOf(short.body), digestOf(bootFiles.linux));
});

test('the header says what the bytes are, for ever', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12' });
  const path = `/images/d12@${id}/files/initrd.gz`;
  const etag = `"${digestOf(bootFiles['initrd.gz'])}"`;
  const head = await ask(site, path, { method: 'HEAD' });
  t.is(head.status, 200);
  t.like(head.headers, {
    etag,
    'content-length': '1200000',
    'accept-ranges': 'bytes',
    'cache-control': 'public, max-age=31536000, immutable',
    'content-type': 'application/gzip',
  });
  t.is(head.body.length, 0);
  t.is((await ask(site, path, { headers: { 'If-None-Match': etag } })).status, 304);
  t.is((await ask(site, path, { headers: { 'If-Match': '"x"' } })).status, 412);
  const outside = await ask(site, path, { headers: { Range: 'bytes=1200000-' } });
  t.is(outside.status, 416);
  t.is(outside.headers['content-range'], 'bytes */1200000');
  const tooMany = await ask(site, path, { headers: { Range: `bytes=${'0-1,5-6,'.repeat(20)}` } });
  t.is(tooMany.status, 200);
  t.is(tooMany.body.length, 1_200_000);
  const stale = await ask(site, path, { headers: { Range: 'bytes=0-1', 'If-Range': '"x"' } });
  t.is(stale.status, 200);
});

/** The parts of a multipart/byteranges body, each with where it begins. Fails on anything that does not belong. */
function partsOf(answer: Answer): { start: number; bytes: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(answer.headers['content-type'] ?? '')?.[1];
  const parts: { start: number; bytes: Buffer }[] = [];
  let at = 0;
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  while (!answer.body.subarray(at).equals(end)) {
    const blank = answer.body.indexOf('\r\n\r\n', at === 0 ? 0 : at + 2);
    const header = answer.body.toString('latin1', at, blank);
    const [, first = '', last = ''] =
      new RegExp(
        `^${parts.length === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes (\\d+)-(\\d+)/300000$`,
      ).exec(header) ?? [];
    if (first === '') throw new Error(`not the header of a part: ${header.slice(0, 200)}`);
    at = blank + 4 + Number(last) + 1 - Number(first);
    parts.push({ start: Number(first), bytes: answer.body.subarray(blank + 4, at) });
  }
  return parts;
}

test('several ranges come as one multipart body, as curl gets it too', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12' });
  const { linux } = bootFiles;
  const path = `/images/d12@${id}/files/linux`;
  const Range = 'bytes=99990-100110,0-0,-5,400000-';
  const answer = await ask(site, path, { headers: { Range } });
  t.is(answer.status, 206);
  t.is(answer.headers['content-range'], undefined);
  t.deepEqual(partsOf(answer), [
    { start: 99_990, bytes: linux.subarray(99_990, 100_111) },
    { start: 0, bytes: linux.subarray(0, 1) },
    { start: 299_995, bytes: linux.subarray(299_995) },
  ]);
  const curl = await run('curl', ['-sf', '-r', Range.slice(6), `${site.url}${path}`], binary);
  t.is(curl.stdout.length, answer.body.length);
  const joined = await ask(site, path, { headers: { Range: 'bytes=0-99,50-199,200-299' } });
  t.is(joined.headers['content-range'], 'bytes 0-299/300000');
  t.deepEqual(joined.body, linux.subarray(0, 300));
  const stale = await ask(site, path, { headers: { Range, 'If-Range': '"x"' } });
  t.is(stale.status, 200);
  t.is((await ask(site, path, { headers: { Range: 'bytes=300000-,-0' } })).status, 416);
  t.is((await ask(site, path, { method: 'HEAD', headers: { Range } })).status, 200);
});

test('one connection carries many requests, with bodies and without', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12' });
  const url = `${site.url}/images/d12@${id}/files/linux`;
  const { stdout } = await run(
    'curl',
    ['-s', '-w', '%{http_code} %{num_connects}\\n', '-o', '/dev/null', url]
      .concat(['--next', '-s', '-w', '%{http_code} %{num_connects}\\n', '-I', '-o', '/dev/null', url])
      .concat([
        '--next',
        '-s',
        '-w',
        '%{http_code} %{num_connects}\\n',
        '-r',
        '0-1,9-9',
        '-o',
        '/dev/null',
        url,
      ])
      .concat([
        '--next',
        '-s',
        '-w',
        '%{http_code} %{num_connects}\\n',
        '-r',
        '900000-',
        '-o',
        '/dev/null',
        url,
      ])
      .concat(['--next', '-s', '-w', '%{http_code} %{num_connects}\\n', '-r', '7-8', '-o', '/dev/null', url]),
  );
  t.is(stdout, '200 1\n200 0\n206 0\n416 0\n206 0\n');
});

test('every range holds the bytes of the file', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12' });
  const { linux } = bootFiles;
  const edge = fc.oneof(
    fc.nat(linux.length + 50),
    fc.constantFrom(0, 1, 99_999, 100_000, 100_100, 100_101, linux.length - 1, linux.length),
  );
  await fc.assert(
    fc.asyncProperty(edge, edge, async (first, last) => {
      const answer = await ask(site, `/images/d12@${id}/files/linux`, {
        headers: { Range: `bytes=${first}-${last}` },
      });
      if (last < first) {
        t.is(answer.status, 200);
      } else if (first >= linux.length) {
        t.is(answer.status, 416);
      } else {
        const expected = linux.subarray(first, last + 1);
        t.is(answer.status, 206);
        t.is(
          answer.headers['content-range'],
          `bytes ${first}-${first + expected.length - 1}/${linux.length}`,
        );
        t.is(digestOf(answer.body), digestOf(expected));
      }
    }),
    { numRuns: 150 },
  );
});

test('what is not published is not there', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12', tree: { 'a/b': Buffer.from('x') } });
  for (const path of [
    `/images/d12@${id}/files/nope`,
    `/images/d12@${id}/files/`,
    `/images/d12@${id}/files`,
    `/images/d12@${id}/tree/a`,
    `/images/d12@${id}/files/../files/linux`,
    `/images/d12@${id}/files/%2e%2e/files/linux`,
    `/images/d12@${id}/files/..%2f..%2fstate.db`,
    `/images/d12@${id}/files/linux%00`,
    `/images/d12@${id}/files//etc/passwd`,
    `/images/d12@${id}/files/..\\linux`,
    `/images/d12@${id.slice(0, 11)}/files/linux`,
    `/images/d12@1/files/linux`,
    `/images/d12@${'0'.repeat(64)}/files/linux`,
    `/images/d13@${id}/files/linux`,
    '/images/d12/files/linux',
    '/images/d13/tree/a/b',
    '/loaders/passwd',
    '/loaders/../../../etc/passwd',
    '/loaders/%2e%2e%2fpasswd',
    '/etc/passwd',
    '/state.db',
    '/run.key',
  ]) {
    const answer = await ask(site, path);
    t.is(answer.status, 404, path);
    t.regex(answer.text, /^[^\n]+\n$/, path);
  }
  t.is((await ask(site, `/images/d12@${id}/files/linux`, { method: 'DELETE' })).status, 405);
});

test('without a generation the tree is the current one, by redirect', async (t) => {
  const site = await runSite(t);
  const first = await site.publish({ name: 'd12', tree: { 'a+b c': Buffer.from('one') } });
  const before = await ask(site, '/images/d12/tree/a+b%20c');
  t.is(before.status, 302);
  t.is(before.headers.location, `/images/d12@${first}/tree/a+b%20c`);
  await site.publish({ name: 'd12', tree: { 'a+b c': Buffer.from('two') } });
  const { stdout } = await run('curl', ['-sfL', `${site.url}/images/d12/tree/a+b%20c`], binary);
  t.is(stdout.toString(), 'two');
  t.is((await ask(site, before.headers.location ?? '')).text, 'one');
});

test('what a node fetches enters its history; what strangers fetch does not', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  const tree = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`p${n}`, Buffer.alloc(100, n)]));
  const id = await site.publish({ name: 'd12', tree });
  const path = (name: string): string => `/images/d12@${id}/${name}`;
  await ask(site, path('files/linux'), { from: '127.0.0.11' });
  await ask(site, path('files/initrd.gz'), { from: '127.0.0.11' });
  await ask(site, path('files/linux'), { from: '127.0.0.12' });
  await Promise.all(Object.keys(tree).map((name) => ask(site, path(`tree/${name}`), { from: '127.0.0.11' })));
  await site.servers.service.transfers.flush();
  const events = (await site.store.events.ofNode('n1', 50)).reverse();
  t.deepEqual(
    events.slice(0, 2).map(({ stage, bytes, generation, client }) => ({ stage, bytes, generation, client })),
    [
      { stage: 'kernel', bytes: 300_000, generation: id, client: '127.0.0.11' },
      { stage: 'initrd', bytes: 1_200_000, generation: id, client: '127.0.0.11' },
    ],
  );
  // One event, or a few where the machine is so slow that there are pauses between the requests.
  const gathered = events.slice(2);
  t.true(gathered.length < 6, `${gathered.length} events`);
  for (const event of gathered) t.like(event, { stage: 'tree', generation: id, client: '127.0.0.11' });
  t.is(
    gathered.reduce((sum, event) => sum + (event.bytes ?? 0), 0),
    3_000,
  );
  t.is(await site.store.events.lastId(), events.at(-1)?.id ?? 0);
});

test('a client that stops reading costs no memory, and one that goes away ends its transfer', async (t) => {
  const site = await runSite(t);
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'], ip: '127.0.0.11' });
  const large = randomBytes(48 * 1024 * 1024);
  const id = await site.publish({ name: 'd12', files: { linux: large, 'initrd.gz': Buffer.from('x') } });
  const { transfers } = site.servers.service;
  const sockets = Array.from({ length: 8 }, () => {
    const socket = connect({ host: '127.0.0.1', port: site.port, localAddress: '127.0.0.11' });
    socket.on('error', () => undefined);
    socket.write(`GET /images/d12@${id}/files/linux HTTP/1.1\r\nHost: x\r\n\r\n`);
    socket.pause();
    return socket;
  });
  await until(() => transfers.totals.active === 8);
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.true(
    transfers.totals.bytes < 8 * 16 * 1024 * 1024,
    `${transfers.totals.bytes} bytes were taken from the store`,
  );
  for (const socket of sockets) socket.destroy();
  await until(() => transfers.totals.active === 0);
  t.is(transfers.totals.aborted, 8);
  await transfers.flush();
  const [event] = await site.store.events.ofNode('n1', 1);
  t.regex(event?.detail ?? '', /^linux: stopped after \d+ of 50331648 bytes$/);
  const whole = await ask(site, `/images/d12@${id}/files/linux`);
  t.is(digestOf(whole.body), digestOf(large));
});

test('a generation that is being sent is held', async (t) => {
  const site = await runSite(t);
  const id = await site.publish({ name: 'd12' });
  await ask(site, `/images/d12@${id}/files/linux`);
  await site.publish({ name: 'd12', files: { linux: randomBytes(5000), 'initrd.gz': Buffer.from('y') } });
  const gone = await site.store.gc({ dryRun: false, keep: 1 });
  t.is(gone.generations, 0);
  t.is(digestOf((await ask(site, `/images/d12@${id}/files/linux`)).body), digestOf(bootFiles.linux));
});

test('loaders come from their package, by name only', async (t) => {
  const site = await runSite(t);
  const { stdout } = await run('cat', ['/usr/lib/ipxe/undionly.kpxe'], binary);
  const answer = await ask(site, '/loaders/undionly.kpxe');
  t.is(digestOf(answer.body), digestOf(stdout));
  t.is(answer.headers.etag, `"${digestOf(stdout)}"`);
  t.is((await ask(site, '/loaders/ipxe.iso')).status, 404);
});
