import { execFileSync } from 'node:child_process';
import { type Socket, createSocket } from 'node:dgram';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { DirectSocket } from '../../../src/pxe/tftp/direct-socket.js';
import { type DatagramCalls, EAGAIN } from '../../../src/system/datagrams.js';
import { HOST } from './serving.js';

function bind(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.bind(0, HOST, resolve));
}

function connect(socket: Socket, port: number): Promise<void> {
  return new Promise((resolve) => socket.connect(port, HOST, () => resolve()));
}

function close(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

const fail = (error: Error): never => {
  throw error;
};

/** What comes next within two seconds; undefined when nothing does. */
function receive(direct: DirectSocket): Buffer | undefined {
  for (const until = Date.now() + 2000; Date.now() < until;) {
    const bytes = direct.receive();
    if (bytes !== undefined) return bytes;
  }
  return undefined;
}

test('what a stranger sent before the socket was connected is not taken for the client’s', async (t) => {
  const [socket, client] = [createSocket('udp4'), createSocket('udp4')];
  await bind(client);
  await bind(socket);
  // By a process of its own, so that the event loop, which would read it, has no turn before the socket is connected.
  execFileSync('bash', ['-c', `printf forged > /dev/udp/${HOST}/${socket.address().port}`], {
    timeout: 10_000,
  });
  await connect(socket, client.address().port);
  const direct = DirectSocket.of(socket, fail);
  if (direct === undefined) throw new Error('the C library cannot be called here');
  execFileSync('true', { timeout: 10_000 });
  t.is(direct.receive(), undefined);
  await connect(client, socket.address().port);
  const sent = new Promise<void>((resolve) => client.send('own', () => resolve()));
  t.is(receive(direct)?.toString(), 'own');
  await sent;
  await Promise.all([close(socket), close(client)]);
});

test('a client that has closed its port is told of, later', async (t) => {
  const [socket, client] = [createSocket('udp4'), createSocket('udp4')];
  await bind(client);
  await bind(socket);
  await connect(socket, client.address().port);
  await close(client);
  const errors: Error[] = [];
  const direct = DirectSocket.of(socket, (error) => errors.push(error));
  direct?.send(Buffer.from('is anybody'));
  direct?.send(Buffer.from('there'));
  t.deepEqual(errors, []);
  await new Promise((resolve) => process.nextTick(resolve));
  t.like(errors, [{ code: 'ECONNREFUSED', message: 'send ECONNREFUSED' }]);
  await close(socket);
});

const sizes: readonly [size: number, cut: boolean][] = [
  [512 + 4, true],
  [1468 + 4, true],
  [8 + 4, false], // the kernel would cut our other packets as well
  [65464 + 4, false], // two do not fit in one datagram
];
for (const [size, cut] of sizes) {
  test(`packets of ${size} bytes ${cut ? 'go by the run' : 'are left to go one by one'}`, async (t) => {
    const [socket, client] = [createSocket('udp4'), createSocket('udp4')];
    await bind(client);
    await bind(socket);
    await connect(socket, client.address().port);
    const direct = DirectSocket.of(socket, fail);
    const run = Buffer.alloc(70 * size + 1);
    const received: number[] = [];
    client.on('message', (bytes) => received.push(bytes.length));
    t.is(direct?.sendRun(run, size), cut ? run.length : 0);
    const count = cut ? 71 : 0;
    for (let tries = 0; received.length < count && tries < 200; tries += 1) await sleep(10);
    t.deepEqual(
      received,
      Array.from({ length: count }, (_, index) => (index === 70 ? 1 : size)),
    );
    await Promise.all([close(socket), close(client)]);
  });
}

/** Calls that fail with `errno` whatever is sent while packets are cut; `sent`: sizes, with what they were cut to. */
function refusing(errno: string): {
  readonly calls: DatagramCalls;
  readonly sent: (readonly [bytes: number, cut: number])[];
} {
  const sent: (readonly [number, number])[] = [];
  let cut = 0;
  let isCutRefused = false;
  const calls: DatagramCalls = {
    send(_descriptor, bytes) {
      if (cut > 0 && isCutRefused) return -constants.errno[errno as 'EINVAL'];
      if (cut > 0) isCutRefused = true; // from the second on: the path to the client has changed, say
      sent.push([bytes.length, cut]);
      return bytes.length;
    },
    receive: () => EAGAIN,
    segment: (_descriptor, size) => {
      cut = size;
      return 0;
    },
    peer: () => 0,
  };
  return { calls, sent };
}

for (const errno of ['EINVAL', 'EIO', 'EMSGSIZE', 'ENOPROTOOPT', 'ENOTSUP']) {
  test(`a single packet that is refused with ${errno} because packets are cut goes uncut, and all after it`, async (t) => {
    const socket = createSocket('udp4');
    await bind(socket);
    const { calls, sent } = refusing(errno);
    const direct = DirectSocket.of(socket, fail, calls);
    t.is(direct?.sendRun(Buffer.alloc(3000), 1000), 3000);
    t.true(direct?.send(Buffer.alloc(700)));
    t.is(direct?.sendRun(Buffer.alloc(3000), 1000), 0);
    t.true(direct?.send(Buffer.alloc(800)));
    t.deepEqual(sent, [
      [3000, 1000],
      [700, 0],
      [800, 0],
    ]);
    await new Promise((resolve) => setImmediate(resolve)); // no error is told
    await close(socket);
  });

  test(`${errno} of a packet that Node was left to send ends the cutting, too, once`, async (t) => {
    const socket = createSocket('udp4');
    await bind(socket);
    const { calls } = refusing(errno);
    const direct = DirectSocket.of(socket, fail, calls);
    t.false(direct?.stopsCutting(errno), 'nothing was cut: it is told');
    direct?.sendRun(Buffer.alloc(3000), 1000);
    t.false(direct?.stopsCutting('ECONNREFUSED'));
    t.true(direct?.stopsCutting(errno));
    t.false(direct?.stopsCutting(errno));
    t.is(direct?.sendRun(Buffer.alloc(3000), 1000), 0);
    await close(socket);
  });
}

test('a packet that is refused although nothing is cut is told of', async (t) => {
  const socket = createSocket('udp4');
  await bind(socket);
  const { calls } = refusing('EINVAL');
  const errors: Error[] = [];
  const direct = DirectSocket.of(socket, (error) => errors.push(error), {
    ...calls,
    send: () => -constants.errno.EINVAL,
  });
  t.true(direct?.send(Buffer.alloc(700)));
  await new Promise((resolve) => setImmediate(resolve));
  t.like(errors, [{ code: 'EINVAL' }]);
  await close(socket);
});
