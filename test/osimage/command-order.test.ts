import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { addAdHocEdit } from '../../src/osimage/ad-hoc.js';
import type { AdHocEdit } from '../../src/osimage/types.js';
import type { Digest } from '../../src/store/digest.js';
import { newSite } from '../cli/in-process.js';
import { item, itemBytes } from '../image/newc.js';

const digest = '0'.repeat(64) as Digest;
const at = { archive: 'initrd' };
const put = (name: string): AdHocEdit => ({
  ...at,
  op: 'put',
  path: name,
  blob: digest,
  size: 1,
  mode: 0o100644,
});
const chmod = (name: string): AdHocEdit => ({ ...at, op: 'chmod', path: name, mode: 0o700 });
const command: AdHocEdit = { ...at, op: 'edit', command: 'ln /a /b', changes: digest };

for (const [what, edits, next, left] of [
  ['a put by a put', [put('/a')], put('/a'), [put('/a')]],
  ['a put before a command by nothing', [put('/a'), command], put('/a'), [put('/a'), command, put('/a')]],
  [
    'a mode before a command by no deletion',
    [chmod('/a'), command],
    { ...at, op: 'delete', path: '/a' },
    [chmod('/a'), command, { ...at, op: 'delete', path: '/a' }],
  ],
  [
    'a put after a command by a put',
    [put('/a'), command, put('/a')],
    put('/a'),
    [put('/a'), command, put('/a')],
  ],
] as const satisfies readonly [string, AdHocEdit[], AdHocEdit, AdHocEdit[]][]) {
  test(`overtaken: ${what}`, (t) => t.deepEqual(addAdHocEdit(edits, next), left));
}

/** A site with osimage it of a small archive, and a directory to work in. */
async function withImage(
  t: ExecutionContext,
): Promise<{ rackboot: Awaited<ReturnType<typeof newSite>>['rackboot']; local: string }> {
  const { dir, rackboot } = await newSite(t);
  const local = path.join(path.dirname(dir), 'work');
  await mkdir(path.join(local, 'layer/overlay/etc'), { recursive: true });
  await writeFile(path.join(local, 'layer/overlay/etc/layered'), 'layer\n');
  await writeFile(path.join(local, 'one'), 'one\n');
  const archive = [
    item({ name: 'etc', mode: 0o40755 }),
    item({ name: 'etc/motd', data: Buffer.from('vendor\n') }),
    item({ name: 'TRAILER!!!', mode: 0 }),
  ];
  await writeFile(path.join(local, 'initrd'), Buffer.concat(archive.map(itemBytes)));
  t.is((await rackboot('image', 'import', path.join(local, 'initrd'), '--name', 'it')).status, 0);
  return { rackboot, local };
}

test('a directory unpacked before a change is not packed over it', async (t) => {
  const { rackboot, local } = await withImage(t);
  const directory = path.join(local, 'root');
  const cat = async (name: string): Promise<string> => (await rackboot('image', 'cat', 'it', name)).out;
  t.is((await rackboot('image', 'unpack', 'it', directory)).status, 0);
  await writeFile(path.join(directory, 'etc/motd'), 'packed\n');
  t.is((await rackboot('image', 'pack', 'it', directory)).status, 0);
  await writeFile(path.join(directory, 'etc/motd'), 'packed again\n');
  t.is((await rackboot('image', 'pack', 'it', directory)).status, 0, 'once more');
  t.is(await cat('/etc/motd'), 'packed again\n');
  for (const change of [
    ['put', 'it', `${path.join(local, 'one')}:/etc/one`],
    ['build', 'it', '--layers', path.join(local, 'layer')],
  ]) {
    t.is((await rackboot('image', ...change)).status, 0);
    const { status, err } = await rackboot('image', 'pack', 'it', directory);
    t.is(status, 1);
    t.regex(err, /was unpacked before it was changed, and packing it would undo that; unpack again/);
    t.is(await cat('/etc/motd'), 'packed again\n');
    t.is(await cat('/etc/one'), 'one\n');
  }
  t.is((await rackboot('image', 'pack', 'it', directory, '--discard-edits')).status, 0);
  t.not((await rackboot('image', 'cat', 'it', '/etc/one')).status, 0);
  t.is(await readFile(path.join(directory, 'etc/motd'), 'utf8'), 'packed again\n');
});

test('a directory unpacked from one osimage is packed into another that was changed', async (t) => {
  const { rackboot, local } = await withImage(t);
  const directory = path.join(local, 'root');
  const other = ['image', 'import', path.join(local, 'initrd'), '--name', 'other'];
  t.is((await rackboot(...other)).status, 0);
  t.is((await rackboot('image', 'put', 'other', `${path.join(local, 'one')}:/etc/one`)).status, 0);
  t.is((await rackboot('image', 'unpack', 'it', directory)).status, 0);
  await writeFile(path.join(directory, 'etc/motd'), 'packed\n');
  const { status, err } = await rackboot('image', 'pack', 'other', directory);
  t.is(status, 0, err);
  t.is((await rackboot('image', 'cat', 'other', '/etc/motd')).out, 'packed\n');
});
