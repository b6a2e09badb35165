import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { constants } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { directSender } from '../../../src/pxe/http/direct-send.js';
import { KernelSend } from '../../../src/pxe/http/kernel-send.js';
import { FileRun } from '../../../src/store/file-run.js';
import { OpenFiles } from '../../../src/store/open-files.js';
import { sendfile, type Sendfile } from '../../../src/system/sendfile.js';
import { noise, temporaryDirectory } from '../../store/temporary-site.js';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const MIB = 1024 * 1024;
const { EINVAL, ENOSYS, EPERM, EOPNOTSUPP, EACCES, EIO } = constants.errno;

function realCall(): Sendfile {
  const call = sendfile();
  if (call === undefined) throw new Error('the C library cannot be called here');
  return call;
}

/** sendfile(2) that fails with `errno` from its call number `from` on, and how often it was called. */
function refusing(errno: number, from: number): { readonly call: Sendfile; readonly calls: () => number } {
  const real = realCall();
  let calls = 0;
  const call: Sendfile = (to, file, offset, count) => {
    calls += 1;
    return calls >= from ? -errno : real(to, file, offset, Math.min(count, 300_001));
  };
  return { call, calls: () => calls };
}

/** What a client gets of bytes [offset, …) of a file of `bytes`, and what was told of it. */
async function fetch(
  t: ExecutionContext,
  kernel: KernelSend,
  bytes: Buffer,
  { offset = 0, type = 0xef53 } = {},
): Promise<{ readonly body: Buffer; readonly sent: number; readonly told: number }> {
  const path = join(await temporaryDirectory(t), 'pack');
  await writeFile(path, bytes);
  const files = new OpenFiles(() => Promise.resolve(type));
  t.teardown(() => files.close());
  let [sent, told] = [0, 0];
  const server = createServer((req, res) => {
    const write = (chunk: Buffer): Promise<boolean> =>
      new Promise((resolve) => res.write(chunk, (error) => resolve(!error)));
    const serve = async (): Promise<void> => {
      res.writeHead(200, { 'Content-Length': bytes.length - offset });
      await write(Buffer.alloc(0));
      for await (const run of files.lend(path, offset, bytes.length - offset)) {
        t.true(run instanceof FileRun);
        sent = (await directSender(res, req.socket, write, kernel)?.send(run, (n) => (told += n))) ?? -1;
      }
      res.end();
    };
    serve().catch((error: Error) => res.destroy(error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  const received = Buffer.concat(chunks);
  return { body: received.subarray(received.indexOf('\r\n\r\n') + 4), sent, told };
}

const BYTES = noise(11, 5 * MIB + 4097);

for (const [name, errno] of Object.entries({ EINVAL, ENOSYS, EPERM, EOPNOTSUPP, EACCES, EIO })) {
  for (const from of [1, 2, 6]) {
    test(`refused with ${name} at call ${from}, what is left is read, no byte twice`, async (t) => {
      const { call, calls } = refusing(errno, from);
      const { body, sent, told } = await fetch(t, new KernelSend(call), BYTES, { offset: 5 });
      t.true(body.equals(BYTES.subarray(5)));
      t.is(sent, BYTES.length - 5);
      t.is(told, sent);
      t.is(calls(), from);
    });
  }
  const isRefusal = errno !== EIO;
  test(`${name} is ${isRefusal ? 'remembered' : 'of that time only'}`, async (t) => {
    const { call, calls } = refusing(errno, 1);
    const kernel = new KernelSend(call);
    for (let time = 1; time <= 3; time++) {
      t.true((await fetch(t, kernel, BYTES)).body.equals(BYTES));
      t.is(calls(), isRefusal ? 1 : time);
    }
  });
}

test('what one file system refuses is not taken for the others’ answer, what a process may not do is', (t) => {
  const call: Sendfile = () => 0;
  const inMemory = 0x7fffffff; // not an open file: whoever asks about it fails
  const kernel = new KernelSend(call);
  t.is(kernel.callFor(inMemory), call, 'nothing is asked before anything is refused');
  kernel.note(EIO, inMemory);
  kernel.note(constants.errno.EPIPE, inMemory);
  t.is(kernel.callFor(inMemory), call);
  kernel.note(EPERM, inMemory);
  t.is(kernel.callFor(inMemory), undefined);
});

test('a file whose reads are not counted is read, and never sent directly', async (t) => {
  const { call, calls } = refusing(EINVAL, Infinity);
  const kernel = new KernelSend(call);
  for (const _time of [1, 2]) {
    const { body, sent, told } = await fetch(t, kernel, BYTES, { type: 0x65735546 });
    t.true(body.equals(BYTES));
    t.deepEqual([sent, told], [BYTES.length, BYTES.length]);
  }
  t.is(calls(), 0);
  t.true((await fetch(t, kernel, BYTES)).body.equals(BYTES));
  t.true(calls() > 0);
});
