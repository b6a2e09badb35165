import zlib from 'node:zlib';
import test from 'ava';
import { encodeDescriptor } from '../../src/image/archive.js';
import { collect } from '../../src/image/chunks.js';
import { pathFromText, ROOT } from '../../src/image/cpio/path.js';
import { contentOf, type Edit } from '../../src/image/edit.js';
import { ImageError } from '../../src/image/errors.js';
import { zeroCounts } from '../../src/image/segment-writer.js';
import { openDescriptor } from '../../src/osimage/contents.js';
import { DIR, EDIT_TIME, FILE, filling } from './archive-models.js';
import { describeDisk, describeTree, FileTree } from './file-tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, parseArchive, type Item } from './newc.js';
import { cpioNames, inDirectory, output } from './programs.js';
import { rewriteArchive } from './reference-editor.js';
import { chmod, fileOf, plainOf, put, read, remove, splice } from './splicing.js';

const dir = (name: string): Item => item({ name, mode: DIR | 0o755, nlink: 2, ino: 1 });
const file = (name: string, data: string, ino = 7): Item => item({ name, ino, data: Buffer.from(data) });
const linked = (name: string, nlink: number, data = ''): Item =>
  item({ name, ino: 7, nlink, mode: FILE | 0o644, data: Buffer.from(data) });

interface HardLinkRow {
  readonly title: string;
  readonly items: readonly Item[];
  readonly edits: readonly Edit[];
  readonly left: readonly string[]; // name, link count, mode and data of each entry
}

const hardLinkRows: readonly HardLinkRow[] = [
  {
    title: 'the data moves to the last link when its holder is deleted',
    items: [linked('a', 3), linked('b', 3), linked('c', 3, 'data')],
    edits: [remove('c')],
    left: ['a 2 644 ', 'b 2 644 data'],
  },
  {
    title: 'the data moves on as holders go one by one, and the last file stands alone',
    items: [linked('a', 3), linked('b', 3), linked('c', 3, 'data')],
    edits: [remove('c'), remove('b')],
    left: ['a 1 644 data'],
  },
  {
    title: 'a put breaks the link: the others keep the old data',
    items: [linked('a', 2), linked('b', 2, 'data')],
    edits: [put('b', 'new')],
    left: ['a 1 644 data', 'b 1 644 new'],
  },
  {
    title: 'a put on a link that carries no data leaves the data where it is',
    items: [linked('a', 2), linked('b', 2, 'data')],
    edits: [put('a', 'new')],
    left: ['a 1 644 new', 'b 1 644 data'],
  },
  {
    title: 'a link that was put over and is then deleted takes nothing with it',
    items: [linked('a', 3), linked('b', 3), linked('c', 3, 'data')],
    edits: [put('c', 'new'), remove('c')],
    left: ['a 2 644 ', 'b 2 644 data'],
  },
  {
    title: 'chmod is seen through every link',
    items: [linked('a', 2), linked('b', 2, 'data')],
    edits: [chmod('a', 0o4755)],
    left: ['a 2 4755 ', 'b 2 4755 data'],
  },
  {
    title: 'chmod of a link that left its group changes only that file',
    items: [linked('a', 2), linked('b', 2, 'data')],
    edits: [put('a', 'new'), chmod('a', 0o600)],
    left: ['a 1 600 new', 'b 1 644 data'],
  },
  {
    title: 'chmod before a delete goes with the data',
    items: [linked('a', 2), linked('b', 2, 'data')],
    edits: [chmod('a', 0o600), remove('b')],
    left: ['a 1 600 data'],
  },
  {
    title: 'writers that give every link the data keep it everywhere',
    items: [linked('a', 2, 'data'), linked('b', 2, 'data')],
    edits: [remove('b')],
    left: ['a 1 644 data'],
  },
  {
    title: 'links of which the archive holds only some',
    items: [linked('a', 5), linked('b', 5, 'data')],
    edits: [remove('b')],
    left: ['a 4 644 data'],
  },
  {
    title: 'empty files that are links of each other',
    items: [linked('a', 2), linked('b', 2)],
    edits: [remove('b')],
    left: ['a 1 644 '],
  },
  {
    title: 'a whole directory of links goes',
    items: [dir('d'), linked('d/a', 3), linked('d/b', 3), linked('c', 3, 'data')],
    edits: [remove('d')],
    left: ['c 1 644 data'],
  },
];

for (const { title, items, edits, left } of hardLinkRows) {
  test(`hard links: ${title}`, async (t) => {
    const blobs = new MemoryBlobs();
    const base = await read(zlib.gzipSync(archiveBytes(items)), blobs);
    const plain = zlib.gunzipSync(fileOf(await splice(base, edits, blobs), blobs));
    const got = parseArchive(plain).items.map(
      ({ name, nlink, mode, data }) => `${name} ${nlink} ${(mode & 0o7777).toString(8)} ${data.toString()}`,
    );
    t.deepEqual(got, [...left]);
    t.true(plain.equals(await rewriteArchive(archiveBytes(items), edits, EDIT_TIME)));
  });
}

test('an earlier copy of a path is not brought back by chmod of its old links, and keeps what was written through it', async (t) => {
  const blobs = new MemoryBlobs();
  const items = [linked('a', 2), linked('b', 2, 'data'), file('a', 'second', 9)];
  const base = await read(zlib.gzipSync(archiveBytes(items)), blobs);
  const edited = await splice(base, [chmod('b', 0o700), put('a', 'third')], blobs);
  const { tree } = await openDescriptor(edited, blobs);
  const seen = tree.below(ROOT).map(({ path, header }) => `${path} ${(header.mode & 0o7777).toString(8)}`);
  t.deepEqual(seen, ['a 644', 'b 700']);
  const opened = await openDescriptor(edited, blobs);
  const text = async (path: string) =>
    (await collect(opened.read(opened.tree.find(pathFromText(path))))).toString();
  t.deepEqual([await text('/a'), await text('/b')], ['third', 'second']);
});

test('inode numbers of two archives in one stream have nothing to do with each other', async (t) => {
  const blobs = new MemoryBlobs();
  const one = archiveBytes([linked('a', 2), linked('b', 2, 'one')]);
  const two = archiveBytes([linked('c', 2), linked('d', 2, 'two')]);
  const base = await read(zlib.gzipSync(Buffer.concat([one, two])), blobs);
  const plain = zlib.gunzipSync(fileOf(await splice(base, [remove('d'), chmod('a', 0o600)], blobs), blobs));
  const first = parseArchive(plain);
  t.deepEqual(
    first.items.map(({ name, data, mode }) => [name, data.toString(), mode & 0o777]),
    [
      ['a', '', 0o600],
      ['b', 'one', 0o600],
    ],
  );
  t.deepEqual(
    parseArchive(plain.subarray(one.length)).items.map(({ name, data, mode }) => [
      name,
      data.toString(),
      mode & 0o777,
    ]),
    [['c', 'two', 0o644]],
  );
});

test('new inode numbers are unique, also after the last of them', async (t) => {
  const blobs = new MemoryBlobs();
  const items = [file('a', 'x', 0xffff_ffff), file('b', 'y', 1), file('c', 'z', 3)];
  const base = await read(zlib.gzipSync(archiveBytes(items)), blobs);
  const edited = await splice(base, [put('d', '1'), put('e', '2'), put('f', '3')], blobs);
  const { items: got } = parseArchive(zlib.gunzipSync(fileOf(edited, blobs)));
  t.deepEqual(
    got.map(({ name, ino }) => [name, ino]),
    [
      ['a', 0xffff_ffff],
      ['b', 1],
      ['c', 3],
      ['d', 2],
      ['e', 4],
      ['f', 5],
    ],
  );
});

for (const length of [1048575, 1048576, 1048577, 1048576 - 116, 3145728]) {
  test(`a file of ${length} bytes is put, replaced and deleted between others`, async (t) => {
    const blobs = new MemoryBlobs();
    const items = [file('a', 'before'), file('b', 'x'.repeat(500_000)), file('z', 'after')];
    const plain = archiveBytes(items);
    const base = await read(zlib.gzipSync(plain), blobs);
    const large = filling(length, 3);
    const more = [put('b', large), put('z', 'changed')];
    for (const edits of [[put('new', large)], [put('b', large)], more, [...more, remove('b')]]) {
      const got = zlib.gunzipSync(fileOf(await splice(base, edits, blobs), blobs));
      t.true(got.equals(await rewriteArchive(plain, edits, EDIT_TIME)));
    }
    const withLarge = await splice(base, [put('b', large)], blobs);
    const whole = await rewriteArchive(plain, [put('b', large)], EDIT_TIME);
    for (const edits of [[put('z', 'changed')], [remove('b')], [chmod('b', 0o600)], [put('b', 'small')]]) {
      const got = zlib.gunzipSync(fileOf(await splice(withLarge, edits, blobs), blobs));
      t.true(got.equals(await rewriteArchive(whole, edits, EDIT_TIME)));
    }
  });
}

test('an archive without entries takes its first', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(zlib.gzipSync(archiveBytes([])), blobs);
  const plain = zlib.gunzipSync(fileOf(await splice(base, [put('etc/hello', 'hi')], blobs), blobs));
  t.deepEqual(await cpioNames(plain), ['etc', 'etc/hello']);
  t.is(plain.length % 512, 0);
});

test('an archive whose entries are all deleted is still an archive', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(zlib.gzipSync(archiveBytes([file('a', 'x'), file('b', 'y', 8)])), blobs);
  const plain = zlib.gunzipSync(fileOf(await splice(base, [remove('a'), remove('b')], blobs), blobs));
  t.true(plain.equals(archiveBytes([])));
});

test('edits that change nothing give back the base', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(zlib.gzipSync(archiveBytes([dir('etc')])), blobs);
  const counts = zeroCounts();
  t.is(await splice(base, [], blobs, [], counts), base);
  t.is(await splice(base, [put('etc', '', DIR | 0o755)], blobs, [], counts), base);
  t.deepEqual(counts, zeroCounts());
});

for (const [title, after, expected] of [
  ['fills the last block', 512 - 124 - 116, 512 - 124 - 116 - 116],
  ['has several blocks of zeros', 512 - 124 - 116 + 2048, 512 - 124 - 116 - 116 + 2048],
  ['has none', 0, 0],
  ['has some that fill no block', 8, 8],
] as const) {
  test(`zeros after the trailer: an archive that ${title}`, async (t) => {
    const blobs = new MemoryBlobs();
    const plain = Buffer.concat([archiveBytes([item({ name: 'abc' })], 1), Buffer.alloc(after)]);
    const edited = await splice(await read(zlib.gzipSync(plain), blobs), [put('def', '')], blobs);
    const got = zlib.gunzipSync(fileOf(edited, blobs));
    t.is(parseArchive(got).after, expected);
    t.is(got.length % 512 === 0, plain.length % 512 === 0);
  });
}

test('megabytes of zeros after the trailer stay, and keep the blocks whole', async (t) => {
  const blobs = new MemoryBlobs();
  const plain = Buffer.concat([archiveBytes([file('a', 'x')]), Buffer.alloc(5 * 1024 * 1024)]);
  const base = await read(zlib.gzipSync(plain, { level: 1 }), blobs);
  t.true(zlib.gunzipSync(fileOf(base, blobs)).equals(plain));
  const counts = zeroCounts();
  const edited = await splice(base, [put('b', 'y')], blobs, [], counts);
  const got = zlib.gunzipSync(fileOf(edited, blobs));
  t.true(got.equals(await rewriteArchive(plain, [put('b', 'y')], EDIT_TIME)));
  t.true(counts.compressed < 3 * 1024 * 1024);
});

test('a crc archive gets entries whose sums GNU cpio accepts', async (t) => {
  const blobs = new MemoryBlobs();
  await inDirectory(async (work) => {
    await output(
      'sh',
      ['-c', 'echo one > one; echo two > two; mkdir d; echo three > d/three'],
      undefined,
      work,
    );
    const plain = await output('sh', ['-c', 'find . | sort | cpio -o -H crc --quiet'], undefined, work);
    const base = await read(zlib.gzipSync(plain), blobs);
    const edits = [put('two', 'replaced'), put('d/new', Buffer.alloc(70_000, 0xff)), chmod('one', 0o600)];
    const edited = await output('gzip', ['-dc'], fileOf(await splice(base, edits, blobs), blobs));
    t.true(edited.equals(await rewriteArchive(plain, edits, EDIT_TIME)));
    t.true(parseArchive(edited).items.every(({ magic }) => magic === '070702'));
    await output(
      'sh',
      ['-c', 'cpio -i --only-verify-crc 2>&1 | grep -i checksum && exit 1 || exit 0'],
      edited,
      work,
    );
    t.deepEqual(await cpioNames(edited), ['.', 'd', 'd/three', 'one', 'two', 'd/new']);
  });
});

const microcode = archiveBytes([dir('kernel'), file('kernel/microcode', 'µ'.repeat(300))]);
const main = archiveBytes([dir('etc'), file('etc/hello', 'hello'), file('bin', 'x'.repeat(3000))]);
const overlay = archiveBytes([dir('etc'), file('etc/hello', 'later')]);

test('microcode before a compressed archive: each is edited where it stands', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(Buffer.concat([microcode, zlib.gzipSync(main)]), blobs);
  const edits = [put('kernel/microcode', 'new'), put('etc/hello', 'new'), put('fresh', 'in main')];
  const edited = await splice(base, edits, blobs);
  const [first, second] = await plainOf(edited, blobs);
  t.deepEqual(
    parseArchive(first!).items.map(({ name }) => name),
    ['kernel', 'kernel/microcode'],
  );
  t.is(parseArchive(first!).items[1]!.data.toString(), 'new');
  t.deepEqual(
    parseArchive(second!).items.map(({ name }) => name),
    ['etc', 'etc/hello', 'bin', 'fresh'],
  );
  const whole = fileOf(edited, blobs);
  t.true(whole.subarray(0, first!.length).equals(first!));
  t.true(zlib.gunzipSync(whole.subarray(first!.length)).equals(second!));
});

test('a plain archive after a compressed one stays where the kernel looks for it', async (t) => {
  for (let padding = 0; padding < 4; padding++) {
    const compressed = zlib.gzipSync(main);
    const zeros = Buffer.alloc((-compressed.length & 3) + 4 * padding);
    const blobs = new MemoryBlobs();
    const base = await read(Buffer.concat([compressed, zeros, overlay]), blobs);
    for (const length of [0, 1, 2, 3, 50]) {
      const edited = await splice(base, [put('bin', filling(length, 1))], blobs);
      const whole = fileOf(edited, blobs);
      t.is(whole.indexOf('070701') % 4, 0);
      t.true(whole.subarray(whole.indexOf('070701')).equals(overlay));
    }
  }
});

test('of two compressed archives, a path is edited where it counts, and deleted in both', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(Buffer.concat([zlib.gzipSync(main), zlib.gzipSync(overlay)]), blobs);
  const [first, second] = await plainOf(await splice(base, [put('etc/hello', 'new')], blobs), blobs);
  t.true(first!.equals(main));
  t.is(parseArchive(second!).items[1]!.data.toString(), 'new');
  const without = await plainOf(await splice(base, [remove('etc/hello')], blobs), blobs);
  t.deepEqual(
    without.map((plain) => parseArchive(plain).items.map(({ name }) => name)),
    [['etc', 'bin'], ['etc']],
  );
});

test('a segment of a plain archive is not taken for one of a compressed archive', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(Buffer.concat([overlay, zlib.gzipSync(overlay)]), blobs);
  const plainEdit = await splice(base, [remove('etc/hello')], blobs);
  const gzipOnly = await read(zlib.gzipSync(overlay), blobs);
  const edited = await splice(gzipOnly, [remove('etc/hello')], blobs, [plainEdit]);
  t.true(zlib.gunzipSync(fileOf(edited, blobs)).equals(archiveBytes([dir('etc')])));
  const both = await splice(base, [remove('etc/hello')], blobs, [plainEdit]);
  t.deepEqual(encodeDescriptor(both), encodeDescriptor(plainEdit));
});

test('bsdcpio and busybox list and unpack what GNU cpio does', async (t) => {
  const blobs = new MemoryBlobs();
  const items = [
    dir('usr'),
    dir('usr/lib'),
    item({ name: 'lib', mode: 0o120777, data: Buffer.from('usr/lib') }),
    linked('usr/a', 2),
    linked('usr/b', 2, 'linked'),
    file('init', '#!/bin/sh\n', 9),
  ];
  const base = await read(zlib.gzipSync(archiveBytes(items)), blobs);
  const edits = [
    put('lib/modules/x.ko', filling(2_000_000, 5)),
    put('usr/b', 'broken'),
    put('etc/preseed', 'd-i'),
    chmod('init', 0o755),
  ];
  const zipped = fileOf(await splice(base, edits, blobs), blobs);
  const plain = await output('busybox', ['gunzip', '-c'], zipped);
  const expected = [
    'usr',
    'usr/lib',
    'lib',
    'usr/a',
    'usr/b',
    'init',
    'etc',
    'etc/preseed',
    'usr/lib/modules',
    'usr/lib/modules/x.ko',
  ];
  const lines = (listed: Buffer): string[] => listed.toString().trim().split('\n');
  t.deepEqual(await cpioNames(plain), expected);
  t.deepEqual(lines(await output('bsdcpio', ['-it', '--quiet'], plain)), expected);
  t.deepEqual(lines(await output('busybox', ['cpio', '-t'], plain)), expected);
  const tree = FileTree.unpack(items);
  for (const edit of edits) await tree.apply(edit, EDIT_TIME);
  const timeless = (line: string): unknown => (JSON.parse(line) as unknown[]).toSpliced(5, 1);
  for (const [program, ...args] of [
    ['cpio', '-idmu', '--quiet'],
    ['bsdcpio', '-idmu', '--quiet'],
    ['busybox', 'cpio', '-idmu'],
  ] as const) {
    await inDirectory(async (work) => {
      await output(program, args, plain, work);
      t.deepEqual((await describeDisk(work)).map(timeless), describeTree(tree).map(timeless), program);
    });
  }
});

test('content that is not as long as announced is refused', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(zlib.gzipSync(main), blobs);
  for (const announced of [3, 5]) {
    const content = { size: announced, read: () => contentOf(Buffer.from('four')).read() };
    const edit: Edit = {
      op: 'put',
      path: pathFromText('/n\new'),
      mode: FILE,
      uid: 0,
      gid: 0,
      content,
      from: 'test',
    };
    const error = await t.throwsAsync(splice(base, [edit], blobs), { instanceOf: ImageError });
    t.is(error.code, 'TRUNCATED');
    t.regex(error.message, /^\/n\\x0aew: 4 bytes were read where [35] were announced/);
  }
});

test('a file of 4 GiB is refused before a byte of it is read', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(zlib.gzipSync(main), blobs);
  const unreadable: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => {
      throw new Error('was read');
    },
  };
  const content = { size: 2 ** 32, read: () => unreadable };
  const edit: Edit = {
    op: 'put',
    path: pathFromText('/big'),
    mode: FILE,
    uid: 0,
    gid: 0,
    content,
    from: 'test',
  };
  const error = await t.throwsAsync(splice(base, [edit], blobs), { instanceOf: ImageError });
  t.is(error.code, 'FILE_TOO_LARGE');
  t.regex(error.message, /^\/big: 4294967296 bytes; newc holds at most 4294967295/);
});
