import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openDiskFile } from '../../../src/pxe/tftp/disk-file.js';
import { NETASCII_CLIENT, REAL_CLIENTS, fetchWith } from './clients.js';
import { type Serving, bytesOf, serve } from './serving.js';

/** The sizes where blocks of 512 and 1468 bytes end, and one beyond what a reader holds at a time. */
const SIZES = [0, 1, 511, 512, 513, 1468, 65536, 300_001];
const ROLLOVER = 40 * 1024 * 1024; // 81,920 blocks of 512 bytes

const text = 'one\ntwo\r\nthree\rfour\n';
let dir: string;
let serving: Serving;

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rackboot-tftp-'));
  for (const size of [...SIZES, ROLLOVER]) await writeFile(join(dir, `bytes-${size}`), bytesOf(size));
  await writeFile(join(dir, 'text'), text);
  serving = await serve({ open: (path) => openDiskFile(join(dir, path)) });
});

test.after.always(async () => {
  await serving.server.close();
  await rm(dir, { recursive: true });
});

for (const [index, client] of REAL_CLIENTS.entries()) {
  test.serial(`${client.name} gets every file as it is`, async (t) => {
    for (const size of SIZES.filter((one) => one >= client.smallest)) {
      const got = await fetchWith(client, serving.server.port, `bytes-${size}`, join(dir, `out-${index}`));
      t.true(got.equals(bytesOf(size)), `${size} bytes`);
      t.like(await serving.ended(), { outcome: 'complete', bytes: size, size });
    }
  });
}

for (const client of REAL_CLIENTS.filter(({ name }) =>
  ['tftp-hpa', 'atftp', 'curl', 'busybox tftp'].includes(name),
)) {
  test.serial(`${client.name} gets 40 MiB in blocks of 512: their numbers start again at 0`, async (t) => {
    const got = await fetchWith(client, serving.server.port, `bytes-${ROLLOVER}`, join(dir, 'out-rollover'));
    t.true(got.equals(bytesOf(ROLLOVER)));
    t.like(await serving.ended(), { outcome: 'complete', bytes: ROLLOVER, blksize: 512 });
  });
}

test.serial('tftp-hpa gets a text in netascii', async (t) => {
  const got = await fetchWith(NETASCII_CLIENT, serving.server.port, 'text', join(dir, 'out-text'));
  t.is(got.toString(), text);
  t.like(await serving.ended(), { outcome: 'complete' });
});

for (const client of REAL_CLIENTS) {
  test.serial(`${client.name} is told when there is no file`, async (t) => {
    // tftp-hpa says so and ends well, with an empty file.
    const got = await fetchWith(client, serving.server.port, 'none', join(dir, 'out-none')).catch(
      (error: Error) => error,
    );
    t.true(client.name === 'tftp-hpa' ? Buffer.isBuffer(got) && got.length === 0 : got instanceof Error);
    t.like(await serving.ended(), { outcome: 'not-found', path: 'none' });
  });
}

test.serial('fifty clients at once get the same file', async (t) => {
  const client = REAL_CLIENTS.find(({ name }) => name === 'curl --tftp-blksize 1468');
  if (client === undefined) return t.fail('no such client');
  const expected = bytesOf(300_001);
  const all = Array.from({ length: 50 }, (_, index) =>
    fetchWith(client, serving.server.port, 'bytes-300001', join(dir, `out-many-${index}`)),
  );
  for (const got of await Promise.all(all)) t.true(got.equals(expected));
});
