import { type Socket, createSocket } from 'node:dgram';
import { endianness } from 'node:os';
import test from 'ava';
import { descriptorOf } from '../../src/system/descriptor-of.js';
import { ADDRESS_SIZE, type DatagramCalls, EAGAIN, datagramCalls } from '../../src/system/datagrams.js';

const ECONNREFUSED = -111;

/** Two sockets of `host` that are connected to each other, and what calls on them. */
async function openPair(
  host: string,
): Promise<{ calls: DatagramCalls; near: Socket; far: Socket; close: () => Promise<void> }> {
  const type = host.includes(':') ? 'udp6' : 'udp4';
  const sockets = [createSocket(type), createSocket(type)] as const;
  for (const socket of sockets) await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  const [near, far] = sockets;
  await new Promise<void>((resolve) => near.connect(far.address().port, host, () => resolve()));
  await new Promise<void>((resolve) => far.connect(near.address().port, host, () => resolve()));
  const calls = datagramCalls();
  if (calls === undefined) throw new Error('the C library cannot be called here');
  return {
    calls,
    near,
    far,
    close: async () => {
      for (const socket of sockets) await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

/** The next datagram; throws when none comes in two seconds. */
function next(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const bound = setTimeout(() => reject(new Error('no datagram in two seconds')), 2000);
    socket.once('message', (bytes) => {
      clearTimeout(bound);
      resolve(bytes);
    });
  });
}

for (const [host, address] of [
  ['127.0.0.1', '7f000001'],
  ['::1', '00000000000000000000000000000001'],
] as const) {
  test(`datagrams come and go at ${host}, with their sender’s address`, async (t) => {
    const { calls, near, far, close } = await openPair(host);
    const descriptor = descriptorOf(near) ?? -1;
    const into = Buffer.alloc(4);
    const sender = Buffer.alloc(ADDRESS_SIZE);
    const peer = Buffer.alloc(ADDRESS_SIZE);
    t.is(calls.receive(descriptor, into, sender), EAGAIN);
    const sent = next(far);
    t.is(calls.send(descriptor, Buffer.from('question')), 8);
    t.is((await sent).toString(), 'question');

    await new Promise<void>((resolve) => far.send('answer', () => resolve()));
    let size: number = EAGAIN;
    for (const until = Date.now() + 2000; size === EAGAIN && Date.now() < until;)
      size = calls.receive(descriptor, into, sender);
    t.is(size, 4, 'what does not fit is cut off');
    t.is(into.toString(), 'answ');
    t.is(calls.peer(descriptor, peer), 0);
    t.deepEqual(sender, peer);
    t.is(sender.readUInt16BE(2), far.address().port);
    t.true(sender.includes(Buffer.from(address, 'hex')));
    t.is(endianness() === 'LE' ? sender[0] : sender[1], host === '::1' ? 10 : 2);
    await close();
  });
}

test('the kernel cuts what is sent at once, the last datagram perhaps shorter', async (t) => {
  const { calls, near, far, close } = await openPair('127.0.0.1');
  const sizes: number[] = [];
  const all = new Promise<void>((resolve, reject) => {
    const bound = setTimeout(() => reject(new Error(`only ${sizes.length} datagrams`)), 2000);
    far.on('message', (bytes) => {
      if (sizes.push(bytes.length) < 4) return;
      clearTimeout(bound);
      resolve();
    });
  });
  const descriptor = descriptorOf(near) ?? -1;
  t.is(calls.segment(descriptor, 1000), 0);
  t.is(calls.send(descriptor, Buffer.alloc(3001)), 3001);
  await all;
  t.deepEqual(sizes, [1000, 1000, 1000, 1]);
  await close();
});

test('what fails returns its errno', async (t) => {
  const { calls, near, far, close } = await openPair('127.0.0.1');
  const descriptor = descriptorOf(near) ?? -1;
  const gone = createSocket('udp4');
  await new Promise<void>((resolve) => gone.bind(0, '127.0.0.1', resolve));
  const { port } = gone.address();
  await new Promise<void>((resolve) => gone.close(() => resolve()));
  near.disconnect();
  await new Promise<void>((resolve) => near.connect(port, '127.0.0.1', () => resolve()));
  calls.send(descriptor, Buffer.from('nobody'));
  t.is(calls.send(descriptor, Buffer.from('there')), ECONNREFUSED);
  t.true(calls.segment(descriptor, 100_000) < 0);
  t.is(far.address().port > 0, true);
  await close();
});
