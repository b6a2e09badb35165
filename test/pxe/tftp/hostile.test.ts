import { createSocket } from 'node:dgram';
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openDiskFile } from '../../../src/pxe/tftp/disk-file.js';
import type { TftpFiles } from '../../../src/pxe/tftp/files.js';
import type { TftpServerOptions } from '../../../src/pxe/tftp/server.js';
import { mutate, randomFrom } from '../dhcp/random.js';
import { CAPTURED_NAMES, CAPTURED_REQUESTS } from './captures.js';
import { heapInUse } from '../heap.js';
import { HOST, type Received, RawClient, type Serving, bytesOf, serve, settled } from './serving.js';

const SMALL = bytesOf(1300);
const LARGE = bytesOf(300_000);
const SECRET = 'not to be served';

/** A published tree on disk with a file next to it that is not published. */
async function publish(): Promise<{
  readonly dir: string;
  readonly files: TftpFiles;
  readonly outside: string[];
}> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'rackboot-tftp-')));
  await mkdir(join(dir, 'tree', 'boot'), { recursive: true });
  await mkdir(join(dir, 'tree', '%2e%2e'));
  await writeFile(join(dir, 'tree', 'small'), SMALL);
  await writeFile(join(dir, 'tree', 'boot', 'a b'), SMALL);
  await writeFile(join(dir, 'tree', 'large'), LARGE);
  for (const name of CAPTURED_NAMES) {
    await mkdir(join(dir, 'tree', name, '..'), { recursive: true });
    await writeFile(join(dir, 'tree', name), SMALL);
  }
  await writeFile(join(dir, 'secret'), SECRET);
  const outside: string[] = []; // paths that were asked for and lie outside
  const files: TftpFiles = {
    open: (path) => {
      if (/(?:^|[/\\])\.\.(?:[/\\]|$)|^\/|[\x00-\x1f\\]/.test(path)) outside.push(path);
      return openDiskFile(join(dir, 'tree', path));
    },
  };
  return { dir, files, outside };
}

/** The files below `dir` that this process has open. */
async function openBelow(dir: string): Promise<readonly string[]> {
  const handles = await readdir('/proc/self/fd');
  const paths = await Promise.all(handles.map((fd) => realpath(`/proc/self/fd/${fd}`).catch(() => '')));
  return paths.filter((path) => path.startsWith(`${dir}/`));
}

const up = '..';
const ways: readonly string[] = [
  `${up}/secret`,
  `/${up}/secret`,
  `./${up}/secret`,
  `boot/${up}/${up}/secret`,
  `boot//${up}//${up}//secret`,
  `${up}\\secret`,
  `boot\\${up}\\${up}\\secret`,
  `C:\\${up}\\secret`,
  '%2e%2e/secret',
  '%2e%2e%2fsecret',
  '..%5csecret',
  '%252e%252e/secret',
  '..\u00c0\u00afsecret', // an overlong slash
  '\u00c0\u00ae\u00c0\u00ae/secret', // overlong dots
  '.../secret',
  '.. /secret',
  '../secret\n',
  'small/../../secret',
  `${'boot/../'.repeat(100)}../secret`,
  `${'./'.repeat(600)}../secret`,
  'x'.repeat(1400),
  `${'a/'.repeat(500)}b`,
  '.',
  '/',
  '..',
  'boot',
  'boot/',
  'DIR/secret', // the absolute path: relative to the tree, where it is not
  'file://DIR/secret',
];

test('no way out of the published tree', async (t) => {
  const { dir, files } = await publish();
  const serving = await serve(files);
  const client = await RawClient.open();
  for (const way of ways) {
    client.request(serving.server.port, way.replace('DIR', dir));
    const answer: Received = await client.next();
    t.true(answer.kind === 'error' && [1, 2, 4].includes(answer.code), `${way}: ${JSON.stringify(answer)}`);
  }
  // What follows a NUL is the mode, then options: never part of the name.
  client.send(Buffer.from(`\0\x01small\0/../secret\0octet\0`, 'latin1'), serving.server.port);
  t.like(await client.next(), { kind: 'error', code: 4 });
  t.deepEqual(await client.fetch(serving.server.port, '/boot/./a b'), SMALL);
  await client.close();
  t.true(await settled(serving));
  t.deepEqual(await openBelow(dir), []);
  await serving.server.close();
  await rm(dir, { recursive: true });
});

/** Mutated packets to each server; more with RACKBOOT_FUZZ_RUNS=1000000. */
const PACKETS = Number(process.env['RACKBOOT_FUZZ_RUNS'] ?? 20_000);

const made = [
  '\0\x01large\0octet\0',
  '\0\x01small\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0',
  '\0\x01boot/a b\0netascii\0blksize\x001408\0timeout\x001\0',
  '\0\x01../secret\0octet\0',
  '\0\x01boot\\..\\..\\secret\0octet\0blksize\x001468\0',
  '\0\x02small\0octet\0tsize\x0099\0',
  '\0\x03\0\x01data',
  '\0\x04\0\x01',
  '\0\x05\0\x08User aborted the transfer\0',
  '\0\x06blksize\x001468\0',
].map((text) => Buffer.from(text, 'latin1'));
const originals = [...made, ...CAPTURED_REQUESTS];

/** Memory in use, without what the test itself keeps of the server's doings. */
async function inUse({ events }: Serving): Promise<number> {
  events.length = 0;
  return heapInUse();
}

const modes: readonly [name: string, seed: number, options: Partial<TftpServerOptions>][] = [
  ['a port for each transfer', 1350, {}],
  ['a single port', 7440, { ports: { kind: 'single' } }],
];
for (const [name, seed, options] of modes) {
  test.serial(
    `${PACKETS} mutated packets to a server with ${name}: it still serves, and keeps nothing`,
    async (t) => {
      const { dir, files, outside } = await publish();
      t.timeout(120_000 + PACKETS * 5);
      const serving = await serve(files, options);
      const { port } = serving.server;
      const random = randomFrom(seed);
      const transfers = new Set<number>();
      const leaked: string[] = [];
      const attackers = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const socket = createSocket('udp4');
          socket.on('message', (bytes, remote) => {
            if (remote.port !== port) transfers.add(remote.port);
            if (bytes.includes(SECRET)) leaked.push(bytes.toString('latin1'));
          });
          await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
          return socket;
        }),
      );
      const client = await RawClient.open();
      let before = 0;
      for (let sent = 1; sent <= PACKETS; sent += 1) {
        if (sent === Math.ceil(PACKETS / 2)) before = await inUse(serving);
        const attacker = attackers[sent % attackers.length];
        const packet = mutate(originals[Math.floor(random() * originals.length)] ?? Buffer.alloc(0), random);
        const known = [...transfers].slice(-20);
        const to = random() < 0.5 ? port : (known[Math.floor(random() * known.length)] ?? port);
        await new Promise<void>((resolve) => attacker?.send(packet, to, HOST, () => resolve()));
        if (sent % 500 === 0) t.deepEqual(await client.fetch(port, 'small'), SMALL);
      }
      const fresh = await RawClient.open();
      t.deepEqual(await fresh.fetch(port, 'large'), LARGE);
      await Promise.all([client.close(), fresh.close()]);
      // On a single port nothing but silence, or this, says that a client has gone.
      const gone = Buffer.from('\0\x05\0\0\0', 'latin1');
      for (const attacker of attackers) {
        await new Promise<void>((resolve) => attacker.send(gone, port, HOST, () => resolve()));
        attacker.close();
      }
      await settled(serving);
      const grown = (await inUse(serving)) - before;
      const left = serving.server.active();
      const open = await openBelow(dir);
      await serving.server.close();
      await rm(dir, { recursive: true });
      t.is(left, 0);
      t.true(grown < 24 * 2 ** 20, `${grown} bytes more after ${PACKETS / 2} packets more`);
      t.deepEqual(open, []);
      t.deepEqual(leaked, []);
      t.deepEqual(outside, []);
    },
  );
}
