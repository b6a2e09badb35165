import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ImageError } from '../../../src/image/errors.js';
import { findNode, openIso, type IsoImage } from '../../../src/image/iso/reader.js';
import { bufferSource } from '../../../src/image/iso/source.js';
import { counterpart, makeTree, openImageFile, readAll, tempDir } from './counterparts.js';
import { addFiles, type UdfFile } from './udf-writer.js';

const noise = (size: number): Buffer => createHash('shake256', { outputLength: size }).update('udf').digest();

const FILES: readonly UdfFile[] = [
  { path: 'hello.txt', bytes: Buffer.from('hello\n'), how: 'embedded' },
  { path: 'empty', bytes: Buffer.alloc(0), how: 'embedded' },
  { path: 'short', bytes: noise(50_001), how: 'short' },
  { path: 'long', bytes: noise(70_000), how: 'long', mode: 0o4755 },
  { path: 'chain', bytes: noise(100_000), how: 'chain' },
  { path: 'Größe', bytes: Buffer.from('eight bits'), how: 'embedded' },
  { path: '日本語', bytes: Buffer.from('sixteen bits'), how: 'embedded' },
  { path: 'dir/inner/file', bytes: noise(5_000), how: 'short' },
  { path: 'link', link: ['..', 'dir', 'é'] },
  { path: 'absolute', link: ['/', 'etc'] },
];

/** An image of mkudffs with FILES in it. */
async function udfImage(
  t: ExecutionContext,
  {
    revision,
    media = 'hd',
    blockSize = 2048,
    files = FILES,
  }: { revision: string; media?: string; blockSize?: number; files?: readonly UdfFile[] },
): Promise<{ image: Buffer; path: string }> {
  const path = join(await tempDir(t), 'image.udf');
  await writeFile(path, '');
  await truncate(path, 16 * 1024 * 1024);
  await counterpart(
    'mkudffs',
    '-b',
    String(blockSize),
    '-m',
    media,
    '-r',
    revision,
    '-l',
    'Volume Ünï',
    path,
  );
  const kind = media === 'cdr' ? 'virtual' : media === 'cdrw' ? 'spared' : 'physical';
  const image = addFiles(await readFile(path), files, { blockSize, kind, extended: revision >= '2' });
  await writeFile(path, image);
  return { image, path };
}

async function contentsOf(image: IsoImage): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const node of image.nodes) {
    if (node.kind === 'file') found.set(node.path, (await readAll(image, node)).toString('base64'));
    if (node.kind === 'symlink') found.set(node.path, `-> ${node.target ?? ''}`);
  }
  return found;
}

const expected = new Map(
  FILES.map(({ path, bytes, link }) => [
    path,
    link === undefined ? bytes!.toString('base64') : `-> ${link.join('/').replace(/^\/\//, '/')}`,
  ]),
);

for (const [revision, media, blockSize] of [
  ['1.02', 'hd', 2048],
  ['1.02', 'hd', 512],
  ['1.50', 'hd', 2048],
  ['1.50', 'cdr', 2048],
  ['1.50', 'cdrw', 2048],
  ['2.00', 'hd', 4096],
  ['2.00', 'cdr', 2048],
  ['2.01', 'hd', 2048],
  ['2.01', 'hd', 512],
  ['2.01', 'cdr', 2048],
  ['2.01', 'cdrw', 2048],
  ['2.01', 'dvd', 2048],
] as const) {
  test(`UDF ${revision} on ${media}, blocks of ${blockSize}: every file`, async (t) => {
    const { image } = await udfImage(t, { revision, media, blockSize });
    const read = await openIso(bufferSource(image));
    t.is(read.namespace, 'udf');
    t.like(read.udf, { revision, volumeId: 'Volume Ünï', blockSize });
    const found = await contentsOf(read);
    found.delete('Non-Allocatable Space'); // a file of its own in 1.50 on CD-RW
    t.deepEqual(new Map([...found].sort()), new Map([...expected].sort()));
    t.like(findNode(read, 'long'), {
      mode: 0o104755,
      uid: 1000,
      gid: null,
      mtime: Date.UTC(2024, 1, 29, 12, 34, 56) / 1000,
    });
    t.is(findNode(read, 'dir/inner').kind, 'directory');
    // p7zip reads plain partitions and blocks up to 2048 only, no links and no chains of descriptors.
    if (media === 'cdr' || media === 'cdrw' || blockSize > 2048) return;
    const files = FILES.filter(({ link, how }) => link === undefined && how !== 'chain');
    const { path } = await udfImage(t, { revision, media, blockSize, files });
    const listing = (await counterpart('7z', 'l', '-ba', '-slt', path)).toString();
    for (const { path: name, bytes } of files) {
      t.true(listing.includes(`Path = ${name}\n`), name);
      t.true(bytes!.equals(await counterpart('7z', 'x', '-so', path, name)), `7z ${name}`);
    }
  });
}

test('holes read as zeros, whatever is on the medium there', async (t) => {
  const bytes = noise(10 * 2048 + 100);
  const { image } = await udfImage(t, { revision: '2.01', files: [{ path: 'sparse', bytes, how: 'holes' }] });
  const read = await openIso(bufferSource(image));
  const wanted = Buffer.from(bytes);
  for (let at = 2048; at < wanted.length; at += 4096) wanted.fill(0, at, at + 2048);
  t.true((await readAll(read, findNode(read, 'sparse'))).equals(wanted));
});

test('what genisoimage writes beside ISO 9660, and that alone', async (t) => {
  const dir = await tempDir(t);
  await makeTree(join(dir, 'tree'), {
    file: 'x',
    'Some Long Name With Größe.txt': noise(30_000),
    'a/b/c': 'deep',
  });
  const path = join(dir, 'image.iso');
  await counterpart('genisoimage', '-quiet', '-udf', '-V', 'BRIDGE', '-o', path, join(dir, 'tree'));
  const beside = await openImageFile(t, path);
  t.is(beside.namespace, 'udf');
  t.deepEqual(
    beside.nodes.filter(({ kind }) => kind === 'file').map(({ path: name }) => name),
    ['Some Long Name With Größe.txt', 'a/b/c', 'file'],
  );
  t.true((await readAll(beside, findNode(beside, 'Some Long Name With Größe.txt'))).equals(noise(30_000)));
  const bytes = await readFile(path);
  for (let sector = 16; bytes.toString('latin1', sector * 2048 + 1, sector * 2048 + 6) === 'CD001'; sector++)
    bytes.write('BEA01', sector * 2048 + 1, 'latin1');
  const alone = await openIso(bufferSource(bytes));
  t.deepEqual(alone.volumes, []);
  t.deepEqual(await contentsOf(alone), await contentsOf(beside));
});

test('Rock Ridge names the files where it is there; a damaged UDF beside ISO 9660 is told and passed by', async (t) => {
  const dir = await tempDir(t);
  await makeTree(join(dir, 'tree'), { file: 'x', link: { link: 'file' } });
  const path = join(dir, 'image.iso');
  await counterpart('genisoimage', '-quiet', '-udf', '-R', '-J', '-o', path, join(dir, 'tree'));
  const both = await openImageFile(t, path);
  t.is(both.namespace, 'rock-ridge');
  t.is(both.udf?.revision, '1.02');
  t.is(findNode(both, 'link').target, 'file');
  const bytes = await readFile(path);
  const last = bytes.length / 2048 - 1;
  for (const block of [256, last, last - 256]) bytes[block * 2048 + 4]! ^= 1; // the anchors' checksums
  const damaged = await openIso(bufferSource(bytes));
  t.is(damaged.udf, null);
  t.regex(damaged.udfProblem ?? '', /no anchor/);
  t.is(damaged.nodes.length, 2);
});

test('a metadata partition is refused by its name', async (t) => {
  const { image } = await udfImage(t, { revision: '2.01', media: 'cdrw' });
  let at = image.indexOf('*UDF Sparable Partition', 0, 'latin1');
  for (; at >= 0; at = image.indexOf('*UDF Sparable Partition', at + 1, 'latin1')) {
    const descriptor = at - (at % 2048);
    image.write('*UDF Metadata Partition', at, 'latin1');
    const length = image.readUInt16LE(descriptor + 10);
    const { tagged } = await import('./udf-writer.js');
    tagged(image.subarray(descriptor, descriptor + 16 + length), 6, image.readUInt32LE(descriptor + 12));
  }
  const error = await t.throwsAsync<ImageError>(openIso(bufferSource(image)));
  t.regex(error?.message ?? '', /partition of kind "\*UDF Metadata Partition", which rackboot does not read/);
});

test('no damage to a UDF image is more than an ImageError', async (t) => {
  for (const media of ['hd', 'cdr', 'cdrw']) {
    const { image } = await udfImage(t, {
      revision: '2.01',
      media,
      files: FILES.filter(({ how }) => how === 'embedded'),
    });
    const used = [...Array(image.length / 2048).keys()].filter((block) =>
      image.subarray(block * 2048, block * 2048 + 2048).some((byte) => byte !== 0),
    );
    let seed = 7;
    const random = (limit: number): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % limit;
    for (let round = 0; round < 300; round++) {
      const copy = Buffer.from(image);
      for (let count = 0; count <= round % 4; count++) {
        const block = used[random(used.length)]!;
        const at = block * 2048 + random(512);
        copy[at] = random(256);
        // With its checksums right again, so that what it says is believed.
        const id = copy.readUInt16LE(block * 2048);
        const length = copy.readUInt16LE(block * 2048 + 10);
        if (round % 2 === 0 && id !== 0 && length <= 2032)
          (await import('./udf-writer.js')).tagged(
            copy.subarray(block * 2048, block * 2048 + 16 + length),
            id,
            copy.readUInt32LE(block * 2048 + 12),
          );
      }
      try {
        const read = await openIso(bufferSource(copy), { maxEntries: 1000 });
        for (const node of read.nodes) if (node.kind === 'file' && node.size < 1e6) await readAll(read, node);
      } catch (error) {
        t.is((error as Error).name, 'ImageError', String(error));
      }
    }
  }
});

test('`iso` commands read it', async (t) => {
  const { path } = await udfImage(t, { revision: '2.01' });
  const { runCommand } = await import('../../cli/in-process.js');
  t.regex(
    (await runCommand(['iso', 'inspect', path])).out,
    /udf {9}Volume Ünï \(revision 2\.01; blocks of 2048 bytes\)/,
  );
  t.is((await runCommand(['iso', 'cat', path, '/hello.txt'])).out, 'hello\n');
  const out = join(await tempDir(t), 'out');
  const { status, err } = await runCommand(['iso', 'extract', path, out]);
  t.is(status, 0, err);
  t.true((await readFile(join(out, 'chain'))).equals(noise(100_000)));
  t.is(execFileSync('readlink', [join(out, 'link')], { encoding: 'utf8' }), '../dir/é\n');
});
