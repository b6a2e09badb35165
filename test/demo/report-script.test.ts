import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/site/assets.js';

const script = join(packageRoot(), 'configs/report/overlay/usr/lib/rackboot/report');

/** What the script may use beside a program that fetches: the installer has busybox and hardly more. */
const applets = ['sh', 'cat', 'grep', 'logger', 'mount', 'sed', 'sleep'];
const clients = { wget: '/usr/bin/busybox', curl: '/usr/bin/curl', python3: '/usr/bin/python3' };

let dir: string;
let server: Server;
let base: string;
let asked: URL[] = [];
let refusals = 0; // how many of the next requests are refused

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rackboot-report-'));
  for (const [client, program] of Object.entries(clients)) {
    await mkdir(join(dir, client));
    for (const applet of applets) await symlink('/usr/bin/busybox', join(dir, client, applet));
    await symlink(program, join(dir, client, client));
  }
  server = createServer((request, response) => {
    asked.push(new URL(request.url ?? '', 'http://server'));
    response.statusCode = refusals-- > 0 ? 503 : 200;
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

test.after.always(async () => {
  server?.close();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

test.beforeEach(() => {
  asked = [];
  refusals = 0;
});

type Said = { readonly code: number; readonly said: string };

/** Runs the script on busybox alone, on a machine with that kernel line; gives its exit code and what it said. */
async function report(kernelLine: string, ...args: string[]): Promise<Said> {
  return reportBy('wget', kernelLine, ...args);
}

async function reportBy(client: keyof typeof clients, kernelLine: string, ...args: string[]): Promise<Said> {
  const file = join(dir, 'cmdline');
  await writeFile(file, `${kernelLine}\n`);
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const path = join(dir, client);
  const child = spawn(
    '/usr/bin/unshare',
    [
      ...user,
      '--mount',
      join(path, 'sh'),
      '-c',
      'mount -o bind "$0" /proc/cmdline && exec sh "$@"',
      file,
      script,
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: path }, timeout: 60_000 },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, said };
}

test.serial('a report names its stage and its detail', async (t) => {
  const line = `quiet rackboot.report=${base}/nodes/n1/report console=ttyS0`;
  t.deepEqual(await report(line, 'installing', 'd12'), { code: 0, said: '' });
  t.deepEqual(asked.map(String), ['http://server/nodes/n1/report?stage=installing&detail=d12']);
});

test.serial('a URL with a query gets more of it', async (t) => {
  await report(`rackboot.report=${base}/r?run=abc`, 'installed');
  t.deepEqual(asked.map(String), ['http://server/r?run=abc&stage=installed']);
});

test.serial('every printable character of the first line arrives', async (t) => {
  const printable = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)).join('');
  await report(`rackboot.report=${base}/r`, 'note', `x${printable}x\nsecond line`);
  t.is(asked[0]?.searchParams.get('detail'), `x${printable}x`);
});

test.serial('other characters become spaces', async (t) => {
  await report(`rackboot.report=${base}/r`, 'note', 'a\tb\u00e9c');
  t.is(asked[0]?.searchParams.get('detail'), 'a b  c');
});

for (const client of ['curl', 'python3'] as const) {
  test.serial(`${client} sends it where there is no wget, and tries again`, async (t) => {
    refusals = 1;
    t.deepEqual(await reportBy(client, `rackboot.report=${base}/r?run=a`, 'note', 'a b'), {
      code: 0,
      said: '',
    });
    t.deepEqual(asked.map(String), Array(2).fill('http://server/r?run=a&stage=note&detail=a%20b'));
  });
}

test.serial('without an address nothing is sent', async (t) => {
  t.deepEqual(await report('quiet', 'installing'), { code: 0, said: '' });
  t.deepEqual(asked, []);
});

test.serial('nobody listening is no failure', async (t) => {
  const { code } = await report('rackboot.report=http://127.0.0.1:1/r', 'installing');
  t.is(code, 0);
});

test.serial('--wait returns at once, keeps no pipe open, and keeps trying', async (t) => {
  refusals = 2;
  // The child's `close` waits for its pipes: this would last as long as the trying if the background kept them.
  const line = `rackboot.report=${base}/r`;
  t.deepEqual(await report(line, '--wait', 'preseed', 'edition 1'), { code: 0, said: '' });
  for (let round = 0; round < 300 && asked.length < 3; round++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.deepEqual(asked.map(String), Array(3).fill('http://server/r?stage=preseed&detail=edition%201'));
});
