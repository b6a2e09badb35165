import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sendfile } from '../../src/system/sendfile.js';

const FAR = 5 * 2 ** 30; // beyond what 32 bits hold

/** The descriptor of one end of a connection, and its other end. */
async function connected(t: ExecutionContext): Promise<{ readonly fd: number; readonly other: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const other = connect({ host: '127.0.0.1', port });
  const [socket] = (await once(server, 'connection')) as [Socket & { _handle: { fd: number } }];
  t.teardown(() => {
    other.destroy();
    socket.destroy();
    server.close();
  });
  return { fd: socket._handle.fd, other };
}

test('bytes of a file go to a socket, from anywhere in it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-sendfile-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = await open(join(directory, 'file'), 'w+');
  t.teardown(() => file.close());
  await file.write('first words', 0);
  await file.write('far words', FAR);
  const { fd, other } = await connected(t);
  const send = sendfile();
  if (send === undefined) {
    t.fail('the C library cannot be called here');
    return;
  }
  t.is(send(fd, file.fd, 6, 5), 5);
  t.is(send(fd, file.fd, FAR, 100), 9);
  t.is(send(fd, file.fd, FAR + 9, 100), 0);
  t.is(send(fd, file.fd, 0, 5), 5);
  let text = '';
  for await (const chunk of other as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.length >= 19) break;
  }
  t.is(text, 'wordsfar wordsfirst');
});

test('a socket without room is EAGAIN, and what is none is its errno', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-sendfile-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = await open(join(directory, 'file'), 'w+');
  t.teardown(() => file.close());
  await file.truncate(64 * 2 ** 20);
  const { fd } = await connected(t);
  const send = sendfile();
  let last = 1;
  for (let at = 0; last > 0 && at < 64 * 2 ** 20; at += last) last = send?.(fd, file.fd, at, 2 ** 20) ?? 0;
  t.is(last, -constants.errno.EAGAIN);
  t.is(send?.(-1, file.fd, 0, 1), -constants.errno.EBADF);
  t.is(send?.(fd, -1, 0, 1), -constants.errno.EBADF);
});
