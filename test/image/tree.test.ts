import zlib from 'node:zlib';
import test from 'ava';
import { FrameReader, loadEntries } from '../../src/image/archive-index.js';
import type { ArchiveDescriptor } from '../../src/image/archive.js';
import { collect } from '../../src/image/chunks.js';
import { pathFromText, pathToText, ROOT } from '../../src/image/cpio/path.js';
import { ImageError } from '../../src/image/errors.js';
import { ArchiveTree } from '../../src/image/tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, type Item } from './newc.js';
import { read } from './splicing.js';

const dir = (name: string): Item => item({ name, mode: 0o040755 });
const link = (name: string, target: string): Item =>
  item({ name, mode: 0o120777, data: Buffer.from(target) });
const file = (name: string, data: string, more: Partial<Item> = {}): Item =>
  item({ name, data: Buffer.from(data), ...more });

const MAIN = [
  dir('.'),
  dir('./usr'),
  dir('./usr/lib'),
  file('./usr/lib/os-release', 'main'),
  link('./lib', 'usr/lib'),
  link('./absolute', '/usr/lib/os-release'),
  link('./usr/up', '../lib/../lib/os-release'),
  link('./loop', 'loop'),
  link('./dangling', 'nowhere'),
  file('./hard1', '', { ino: 5, nlink: 2 }),
  file('./hard2', 'of main', { ino: 5, nlink: 2 }),
  file('./twice', 'first'),
  file('./twice', 'second'),
];
const OVERLAY = [
  file('other1', '', { ino: 5, nlink: 2 }),
  file('other2', 'of overlay', { ino: 5, nlink: 2 }),
  file('usr/lib/os-release', 'overlay'),
];

async function open(): Promise<{ tree: ArchiveTree; blobs: MemoryBlobs; descriptor: ArchiveDescriptor }> {
  const blobs = new MemoryBlobs();
  const both = Buffer.concat([archiveBytes(MAIN), archiveBytes(OVERLAY)]);
  const descriptor = await read(zlib.gzipSync(both), blobs);
  return { tree: new ArchiveTree(await loadEntries(descriptor, blobs)), blobs, descriptor };
}

for (const [path, content] of [
  ['/usr/lib/os-release', 'overlay'],
  ['/lib/os-release', 'overlay'],
  ['/absolute', 'overlay'],
  ['/usr/up', 'overlay'],
  ['/twice', 'second'],
  ['/hard1', 'of main'],
  ['/hard2', 'of main'],
  ['/other1', 'of overlay'],
  ['/other2', 'of overlay'],
] as const) {
  test(`${path} holds ${JSON.stringify(content)}`, async (t) => {
    const { tree, blobs, descriptor } = await open();
    const { frame, dataOffset, header } = tree.dataOf(tree.find(pathFromText(path)));
    const data = new FrameReader(descriptor.frames[frame]!, blobs).read(dataOffset, dataOffset + header.size);
    t.is((await collect(data)).toString(), content);
  });
}

for (const path of ['/missing', '/loop', '/dangling', '/twice/below', '/usr/lib/missing']) {
  test(`${path} is not in the archive`, async (t) => {
    const { tree } = await open();
    const error = t.throws(() => tree.find(pathFromText(path)), { instanceOf: ImageError });
    t.is(error.code, 'NO_SUCH_ENTRY');
    t.true(error.message.startsWith(`${path} is not in the image`));
  });
}

test('a link itself is reached without being followed', async (t) => {
  const { tree } = await open();
  t.is(tree.reach(pathFromText('/absolute')).target, '/usr/lib/os-release');
  t.is(tree.reach(pathFromText('/lib/os-release')).path, pathFromText('usr/lib/os-release'));
});

test('what lies below a path, each once, in order', async (t) => {
  const { tree } = await open();
  t.deepEqual(
    tree.below(pathFromText('/usr')).map(({ path }) => pathToText(path)),
    ['/usr', '/usr/lib', '/usr/lib/os-release', '/usr/up'],
  );
  t.is(tree.below(ROOT).length, 14);
});

test('bytes outside of a frame are refused', async (t) => {
  const { blobs, descriptor } = await open();
  const reader = new FrameReader(descriptor.frames[0]!, blobs);
  await t.throwsAsync(collect(reader.read(0, 1_000_000)), { instanceOf: RangeError });
});
