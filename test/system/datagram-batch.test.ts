import { once } from 'node:events';
import { type Socket, createSocket } from 'node:dgram';
import test, { type ExecutionContext } from 'ava';
import { type DatagramBatch, datagramBatch } from '../../src/system/datagram-batch.js';
import { descriptorOf } from '../../src/system/descriptor-of.js';

const LOOPBACK = 0x7f000001;

async function open(t: ExecutionContext): Promise<{ socket: Socket; fd: number; port: number }> {
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, fd: descriptorOf(socket) ?? -1, port: socket.address().port };
}

function batchOf(t: ExecutionContext, count: number, size: number): DatagramBatch {
  const batch = datagramBatch(count, size);
  if (batch === undefined) throw new Error('the C library cannot be called here');
  t.truthy(batch);
  return batch;
}

test('many datagrams go out and come in by one call each, in order, with who sent them', async (t) => {
  const [one, other] = [await open(t), await open(t)];
  const batch = batchOf(t, 8, 100);
  const texts = ['first', '', 'x'.repeat(100), 'last'];
  const sent = batch.send(
    one.fd,
    texts.map((text) => ({ bytes: Buffer.from(text), address: LOOPBACK, port: other.port })),
  );
  t.is(sent, 4);
  t.deepEqual(
    batch.receive(other.fd).map(({ bytes, address, port }) => ({ text: bytes.toString(), address, port })),
    texts.map((text) => ({ text, address: '127.0.0.1', port: one.port })),
  );
  t.deepEqual(batch.receive(other.fd), [], 'nothing waits: it does not either');
});

test('what was received stays when the next comes, also a smaller one from elsewhere', async (t) => {
  const [one, other] = [await open(t), await open(t)];
  const batch = batchOf(t, 2, 100);
  const to = { address: LOOPBACK, port: other.port };
  batch.send(one.fd, [{ ...to, bytes: Buffer.from('a long one') }]);
  const [first] = batch.receive(other.fd);
  batch.send(other.fd, [{ ...to, bytes: Buffer.from('short') }]);
  const [second] = batch.receive(other.fd);
  t.is(first?.bytes.toString(), 'a long one');
  t.is(second?.bytes.toString(), 'short');
  t.deepEqual([first?.port, second?.port], [one.port, other.port]);
});

test('more than a batch waits for the next call; what is too long is cut', async (t) => {
  const [one, other] = [await open(t), await open(t)];
  const to = { address: LOOPBACK, port: other.port };
  const texts = ['1', '2', '3 is too long', '4', '5'];
  batchOf(t, 8, 100).send(
    one.fd,
    texts.map((text) => ({ ...to, bytes: Buffer.from(text) })),
  );
  const batch = batchOf(t, 2, 8); // and in this turn of the event loop, before Node reads
  const heard = [1, 2, 3, 4].map(() => batch.receive(other.fd).map(({ bytes }) => bytes.toString()));
  t.deepEqual(heard, [['1', '2'], ['3 is too', '4'], ['5'], []]);
});

test('what cannot be sent is for others to send: a refused one, one that is too large, a closed socket', async (t) => {
  const { fd, port } = await open(t);
  const batch = batchOf(t, 4, 8);
  const to = { address: LOOPBACK, port };
  const fits = { ...to, bytes: Buffer.from('fits') };
  t.is(batch.send(fd, [fits, { ...to, bytes: Buffer.from('too large') }, fits]), 1);
  t.is(
    batch.send(fd, [{ ...fits, address: 0xffffffff }, fits]),
    0,
    'broadcasts are not allowed on this socket',
  );
  t.is(batch.send(fd, []), 0);
  const closed = createSocket('udp4').bind(0, '127.0.0.1');
  await once(closed, 'listening');
  t.is(typeof descriptorOf(closed), 'number');
  closed.close();
  t.is(descriptorOf(closed), undefined);
});
