import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { runSucceeding } from '../../cli/in-process.js';
import { counterpart } from '../../image/iso/counterparts.js';
import { makeXcpNgIso, writeXcpNg } from '../family/xcp-ng-media.js';

let work = '';
const at = (name: string): string => path.join(work, name);

const succeed = (site: string, ...words: string[]): Promise<string> =>
  runSucceeding(['--site', at(site), ...words]);

async function shown(site: string): Promise<Record<string, unknown>> {
  const all = JSON.parse(await succeed(site, '--json', 'image', 'show', 'xcp')) as Record<string, unknown>;
  const { createdAt: _made, note: _note, number: _number, parent: _parent, ...rest } = all;
  return rest;
}

test.before(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'rackboot-discs-'));
  for (const site of ['one', 'two']) await succeed(site, 'init');
  await writeXcpNg(at('media'));
  makeXcpNgIso(at('media'), at('vendor.iso'));
  await succeed('one', 'image', 'import', at('vendor.iso'), '--name', 'xcp');
});
test.after.always(() => rm(work, { recursive: true, force: true }));

test.serial(
  'an installer with its own loaders is the same generation in another site, and its ISO starts with the same',
  async (t) => {
    await succeed('one', 'image', 'export', 'xcp', '-o', at('xcp.tgz'));
    await succeed('two', 'image', 'import', at('xcp.tgz'));
    t.deepEqual(await shown('two'), await shown('one'));
    for (const site of ['one', 'two']) await succeed(site, 'image', 'iso', 'xcp', '-o', at(`${site}.iso`));
    // ISOs of two sites differ in their times: when each made the generation.
    const [one, two] = [await readFile(at('one.iso')), await readFile(at('two.iso'))];
    t.is(two.length, one.length);
    t.true(two.subarray(0, 432).equals(one.subarray(0, 432)), 'the code that a BIOS runs of the disk');
    const loaders = async (iso: string): Promise<Buffer[]> => [
      await counterpart('isoinfo', '-R', '-i', at(iso), '-x', '/boot/isolinux/ldlinux.c32'),
    ];
    t.deepEqual(await loaders('two.iso'), await loaders('one.iso'));
    await succeed('two', 'gc');
    await succeed('two', 'image', 'iso', 'xcp', '-o', at('after-gc.iso'));
    t.true(two.equals(await readFile(at('after-gc.iso'))), 'gc leaves the loaders');
  },
);

test.serial('changed inside, where its archive is bzip2, it is the same bytes', async (t) => {
  await writeFile(at('new'), 'new\n');
  await succeed('one', 'image', 'put', 'xcp', `${at('new')}:/etc/new`);
  await succeed('one', 'image', 'export', 'xcp', '-o', at('changed.tgz'));
  await succeed('two', 'image', 'rm', 'xcp');
  await succeed('two', 'image', 'import', at('changed.tgz'));
  const [one, two] = [await shown('one'), await shown('two')];
  for (const key of ['files', 'tree', 'boot']) t.deepEqual(two[key], one[key], key);
  t.is(await succeed('two', 'image', 'cat', 'xcp', '/etc/new'), 'new\n');
});
