import { open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { loadEntries } from '../../../src/image/archive-index.js';
import { collect } from '../../../src/image/chunks.js';
import { ImageError, type ImageErrorCode } from '../../../src/image/errors.js';
import { FrameReader } from '../../../src/image/archive-index.js';
import { BLOCK, encodeTarHeader } from '../../../src/image/tar/header.js';
import { encodePax } from '../../../src/image/tar/pax.js';
import { TarScanner } from '../../../src/image/tar/scanner.js';
import { openArchiveStream } from '../../../src/image/nested/archive-stream.js';
import { DEFAULT_LIMITS } from '../../../src/image/unpack-limits.js';
import { inChunks, MemoryBlobs } from '../memory-blobs.js';
import { inDirectory, output } from '../programs.js';
import { chmod, fileOf, put, read, splice } from '../splicing.js';

/** Where files of a test have bytes: block numbers, and bytes in all. */
const FILES: Readonly<Record<string, { readonly blocks: readonly number[]; readonly size: number }>> = {
  empty: { blocks: [], size: 1_000_000 },
  ends: { blocks: [0, 1, 2, 300], size: 301 * BLOCK - 100 },
  middle: { blocks: [7, 8, 500], size: 400_000 },
  // More runs than an old header and one block after it hold.
  many: { blocks: Array.from({ length: 100 }, (_, at) => at * 9), size: 900 * BLOCK + 17 },
};

async function makeFiles(dir: string): Promise<void> {
  for (const [name, { blocks, size }] of Object.entries(FILES)) {
    const file = await open(path.join(dir, name), 'w');
    for (const block of blocks) {
      const bytes = Buffer.alloc(BLOCK, `${name} ${block} `);
      await file.write(bytes, 0, Math.min(BLOCK, size - block * BLOCK), block * BLOCK);
    }
    await file.truncate(size);
    await file.close();
  }
  await writeFile(path.join(dir, 'plain'), 'no hole\n');
}

const GNU = ['--sparse', '--hole-detection=raw'];
const PACKINGS: readonly (readonly [string, string, readonly string[]])[] = [
  ['GNU, old', 'tar', ['--format=gnu', ...GNU]],
  ['pax 0.0', 'tar', ['--format=pax', '--sparse-version=0.0', ...GNU]],
  ['pax 0.1', 'tar', ['--format=pax', '--sparse-version=0.1', ...GNU]],
  ['pax 1.0', 'tar', ['--format=pax', '--sparse-version=1.0', ...GNU]],
  ['pax 1.0 by bsdtar', 'bsdtar', ['--format=pax', '--read-sparse']],
];

for (const [name, program, args] of PACKINGS) {
  test(`sparse files, ${name}: read with their holes, left alone, and written out once they change`, async (t) => {
    await inDirectory(async (dir) => {
      await makeFiles(dir);
      const names = [...Object.keys(FILES), 'plain'];
      const tar = await output(program, ['-C', dir, ...args, '-cf', '-', ...names]);
      const blobs = new MemoryBlobs();
      const base = await read(tar, blobs);
      t.true(fileOf(base, blobs).equals(tar));
      const entries = await loadEntries(base, blobs);
      t.deepEqual(
        entries.map((entry) => entry.path as string),
        names,
      );
      if (program === 'tar') t.true(entries.slice(0, -1).every((entry) => entry.tar?.sparse !== undefined));
      const reader = new FrameReader(base.frames[0]!, blobs);
      const through = await openArchiveStream(
        { size: tar.length, where: 'x', read: () => inChunks(tar, [1000]) },
        DEFAULT_LIMITS,
      );
      for (const entry of entries) {
        const expected = await readFile(path.join(dir, entry.path));
        t.is(entry.header.size, expected.length);
        t.true((await collect(reader.dataOf(entry))).equals(expected), entry.path);
        t.true((await collect(through.read(through.tree.find(entry.path)))).equals(expected), entry.path);
      }
      const beside = fileOf(await splice(base, [put('/plain', 'changed\n')], blobs), blobs);
      const until = entries.at(-1)!.offset;
      t.true(beside.subarray(0, until).equals(tar.subarray(0, until)), 'sparse files stay as they are');
      const edits = Object.keys(FILES).map((one) => chmod(`/${one}`, 0o600));
      const edited = await splice(base, edits, blobs);
      const after = fileOf(edited, blobs);
      t.true((await loadEntries(edited, blobs)).every((entry) => entry.tar?.sparse === undefined));
      for (const tool of ['tar', 'bsdtar']) {
        for (const one of names) {
          const data = await output(tool, ['-xOf', '-', one], after);
          t.true(data.equals(await readFile(path.join(dir, one))), `${tool} ${one}`);
        }
      }
      t.deepEqual(
        (await loadEntries(edited, blobs)).map(({ header, end }) => [header.size, header.mode & 0o777, end]),
        (await loadEntries(await read(after, blobs), blobs)).map(({ header, end }) => [
          header.size,
          header.mode & 0o777,
          end,
        ]),
      );
    });
  });
}

test('chunks of any size give the same entries', async (t) => {
  await inDirectory(async (dir) => {
    await makeFiles(dir);
    for (const [name, program, args] of PACKINGS) {
      const tar = await output(program, ['-C', dir, ...args, '-cf', '-', ...Object.keys(FILES)]);
      const scan = (size: number): unknown[] => {
        const found: unknown[] = [];
        const scanner = new TarScanner(0, {
          onEntry: (entry) => found.push(entry),
          onTrailer: () => undefined,
        });
        for (let at = 0; at < tar.length; at += size) scanner.push(tar.subarray(at, at + size));
        scanner.finish();
        return found;
      };
      const whole = scan(tar.length);
      for (const size of [1, 511, 512, 513, 4096]) t.deepEqual(scan(size), whole, `${name}, ${size}`);
    }
  });
});

const FIELDS = {
  ...{ name: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, type: '0', linkName: '' },
  ...{ devMajor: 0, devMinor: 0, uname: '', gname: '' },
};
const END = Buffer.alloc(2 * BLOCK);

/** An archive of one file with `records` before it and `data`. */
function withRecords(records: Readonly<Record<string, string>>, data = Buffer.alloc(0)): Buffer {
  const pax = encodePax(new Map(Object.entries(records)));
  const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & (BLOCK - 1))]);
  return Buffer.concat([
    encodeTarHeader({ ...FIELDS, type: 'x', size: pax.length }),
    padded(pax),
    encodeTarHeader({ ...FIELDS, size: data.length }),
    padded(data),
    END,
  ]);
}

/** An archive of one file in GNU's old format, with runs in its header. */
function old(runs: readonly (readonly [number, number])[], size: number, stored: number): Buffer {
  const header = encodeTarHeader({ ...FIELDS, type: 'S', size: stored });
  header.fill(0, 345, 512);
  runs.forEach(([offset, length], at) => {
    header.write(offset.toString(8).padStart(11, '0'), 386 + at * 24, 'latin1');
    header.write(length.toString(8).padStart(11, '0'), 398 + at * 24, 'latin1');
  });
  header.write(size.toString(8).padStart(11, '0'), 483, 'latin1');
  header.write(' '.repeat(8), 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, Buffer.alloc(Math.ceil(stored / BLOCK) * BLOCK, 'x'), END]);
}

const ONE = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'file' };
const HOSTILE: readonly (readonly [string, Buffer, ImageErrorCode])[] = [
  [
    'runs that overlap',
    old(
      [
        [0, 512],
        [256, 512],
      ],
      4096,
      1024,
    ),
    'BAD_HEADER',
  ],
  [
    'runs that go back',
    old(
      [
        [1024, 512],
        [0, 512],
      ],
      4096,
      1024,
    ),
    'BAD_HEADER',
  ],
  ['a run beyond the end', old([[4096, 512]], 4096, 512), 'BAD_HEADER'],
  ['more stored than runs hold', old([[0, 512]], 4096, 1024), 'BAD_HEADER'],
  ['less stored than runs hold', old([[0, 1024]], 4096, 512), 'BAD_HEADER'],
  [
    'a part of odd length',
    old(
      [
        [0, 100],
        [512, 512],
      ],
      4096,
      612,
    ),
    'UNKNOWN_CODEC',
  ],
  ['a format to come', withRecords({ 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0' }), 'UNKNOWN_CODEC'],
  [
    'a map that is no numbers',
    withRecords({ 'GNU.sparse.size': '10', 'GNU.sparse.map': 'a,b' }),
    'BAD_HEADER',
  ],
  ['half a run', withRecords({ 'GNU.sparse.size': '10', 'GNU.sparse.map': '1' }), 'BAD_HEADER'],
  ['no size', withRecords({ 'GNU.sparse.map': '0,0' }), 'BAD_HEADER'],
  ['no map', withRecords({ ...ONE, 'GNU.sparse.realsize': '10' }, Buffer.alloc(2048)), 'BAD_HEADER'],
  [
    'an endless map',
    withRecords({ ...ONE, 'GNU.sparse.realsize': '10' }, Buffer.from(`999999999\n${'0\n'.repeat(2 ** 20)}`)),
    'TOO_LARGE',
  ],
  [
    'a map that is cut short',
    withRecords({ ...ONE, 'GNU.sparse.realsize': '10' }, Buffer.from('3\n0\n5\n')),
    'BAD_HEADER',
  ],
];

for (const [what, bytes, code] of HOSTILE) {
  test(`hostile: ${what}`, async (t) => {
    const error = await t.throwsAsync(read(bytes, new MemoryBlobs()), { instanceOf: ImageError, code });
    t.regex(error.message, /^\/file at offset 0: /);
  });
}

test('a file that is nearly all hole is read and left alone; a change that would write it out is refused', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(old([[0, 512]], 2 ** 33 - 1, 512), blobs);
  t.is((await loadEntries(base, blobs))[0]?.header.size, 2 ** 33 - 1);
  const vast = withRecords(
    { ...ONE, 'GNU.sparse.realsize': String(2 ** 40) },
    Buffer.concat([Buffer.from('0\n'), Buffer.alloc(BLOCK - 2)]),
  );
  const huge = await read(vast, blobs);
  const error = await t.throwsAsync(splice(huge, [chmod('/file', 0o600)], blobs), { code: 'TOO_LARGE' });
  t.regex(error.message, /^\/file: a sparse file of 1099511627776 bytes/);
  t.truthy(await splice(huge, [put('/file', 'small')], blobs));
});
