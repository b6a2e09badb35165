import { randomBytes } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { kernelHead } from '../image/kernel-head.js';
import { item } from '../image/newc.js';
import { imageSite } from './image-site.js';

const items = [
  item({ name: 'etc', mode: 0o040755, nlink: 2 }),
  item({ name: 'etc/motd', data: Buffer.from('hi\n') }),
];

test('put refuses what BIOS loaders have no room for beside the kernel, and publishes nothing', async (t) => {
  const { work, rackboot, json } = await imageSite(t, items);
  const kernel = join(work, 'linux');
  await writeFile(kernel, kernelHead({ initrdAddrMax: 0x1ffffff, initSize: 0x1000000 - 65536 }));
  const made = await rackboot('image', 'import', join(work, 'x.img'), '--name', 'k', '--kernel', kernel);
  t.is(made.status, 0, made.err);
  const file = join(work, 'file');
  await writeFile(file, randomBytes(60_000));
  const fits = await rackboot('image', 'put', 'k', `${file}:/etc/one`);
  t.is(fits.status, 0, fits.err);
  const { status, err } = await rackboot('image', 'put', 'k', `${file}:/etc/two`);
  t.is(status, 1, err);
  t.regex(
    err,
    /^rackboot: k: entry \S+ loads \d+ bytes of initrd, and BIOS loaders have room for 65536 beside its kernel \(initrd_addr_max\); nothing was published/,
  );
  t.is(err.trimEnd().split('\n').length, 1);
  const history = await json<{ number: number }[]>('image', 'history', 'k');
  t.deepEqual(
    history.map(({ number }) => number),
    [2, 1],
  );
});

test('a node’s attribute memory: nodeset warns, put refuses what no longer fits, a deletion goes through', async (t) => {
  const { work, rackboot } = await imageSite(t, items);
  await writeFile(join(work, 'linux'), 'kernel');
  const run = async (...words: string[]): Promise<string> => {
    const { status, out, err } = await rackboot(...words);
    t.is(status, 0, err);
    return out + err;
  };
  await run('image', 'import', join(work, 'x.img'), '--name', 'k', '--kernel', join(work, 'linux'));
  await run('node', 'add', 'n1', '--mac', '52:54:00:00:00:01', '--attr', 'memory=1024k');
  t.notRegex(await run('nodeset', 'n1', 'osimage=k'), /warning/);
  const file = join(work, 'file');
  await writeFile(file, Buffer.alloc(500_000, 'text '));
  await run('image', 'put', 'k', `${file}:/etc/half`);
  const refused = await rackboot('image', 'put', 'k', `${file}:/etc/other`, `${file}:/etc/more`);
  t.is(refused.status, 1);
  t.regex(
    refused.err,
    /^rackboot: k: n1 has 1048576 bytes of memory \(its attribute memory\), and entry \S+ takes 1\d{6}: \d+ compressed and \d+ unpacked; nothing was published/,
  );
  await run('nodeset', 'n1', 'boot');
  await run('image', 'put', 'k', `${file}:/etc/other`, `${file}:/etc/more`);
  t.regex(await run('nodeset', 'n1', 'osimage=k'), /^warning: n1 has 1048576 bytes.*it may not boot$/m);
  await run('image', 'delete', 'k', '/etc/other');
  await run('node', 'set', 'n1', '--attr', 'memory=plenty');
  t.regex(
    await run('nodeset', 'n1', 'osimage=k', '--dry-run'),
    /^warning: n1: its attribute memory is "plenty", which is no size/m,
  );
});

test('put refuses a file that newc cannot hold, before it reads it', async (t) => {
  const { work, rackboot } = await imageSite(t, items);
  const file = join(work, 'huge');
  await writeFile(file, '');
  await truncate(file, 2 ** 32);
  const { status, err } = await rackboot('image', 'put', 'x', `${file}:/etc/huge`);
  t.is(status, 1);
  t.regex(err, /\/etc\/huge: 4294967296 bytes; newc holds at most 4294967295/);
});
