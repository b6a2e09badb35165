import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { loadEntries, type PlacedEntry } from '../../../src/image/archive-index.js';
import { decodeDescriptor, encodeDescriptor } from '../../../src/image/archive.js';
import { ImageError } from '../../../src/image/errors.js';
import { zeroCounts } from '../../../src/image/segment-writer.js';
import { readArchive } from '../../../src/image/read-archive.js';
import { archive, changes, filling, editsOf, EDIT_TIME, LINK } from '../archive-models.js';
import { FileTree } from '../file-tree.js';
import { inChunks, MemoryBlobs } from '../memory-blobs.js';
import { archiveBytes, item, type Item } from '../newc.js';
import { output } from '../programs.js';
import { rewriteArchive } from '../reference-editor.js';
import { fileOf, plainOf, put, read, remove, splice } from '../splicing.js';
import { allDecode } from './decoders.js';
import { bzip2, noise, prose, randomised } from './samples.js';

const ITEMS: readonly Item[] = [
  ...Array.from({ length: 40 }, (_, n) => item({ name: `doc/${n}`, ino: n, data: prose(40_000, n) })),
  item({ name: 'noise', ino: 100, data: noise(1_000_000, 1) }),
  item({ name: 'zeros', ino: 101, data: Buffer.alloc(2_000_000) }),
  item({ name: 'link', ino: 102, mode: LINK | 0o777, data: Buffer.from('doc/1') }),
  ...Array.from({ length: 40 }, (_, n) =>
    item({ name: `lib/${n}`, ino: 200 + n, data: prose(25_000, 50 + n) }),
  ),
];
const PLAIN = archiveBytes(ITEMS);
const SMALL = archiveBytes([item({ name: 'etc/hello', ino: 1, data: Buffer.from('hello\n') })]);

const listed = (entries: readonly PlacedEntry[]): unknown[] =>
  entries.map(({ header, rawName, offset, end, target }) => ({ header, rawName, offset, end, target }));

const WRITERS = [
  ['bzip2', '-1', '-c'],
  ['bzip2', '-6', '-c'],
  ['bzip2', '-9', '-c'],
  ['lbzip2', '-9', '-c'],
  ['pbzip2', '-9', '-c'],
  ['pbzip2', '-3', '-b1', '-c'],
] as const;

for (const [program, ...args] of WRITERS) {
  test(`an archive by ${program} ${args.join(' ')} keeps its blocks, and is edited in the few that matter`, async (t) => {
    const vendor = await output(program, args, PLAIN);
    const blobs = new MemoryBlobs();
    const counts = zeroCounts();
    const base = await readArchive(inChunks(vendor, [65_536]), blobs, counts);
    t.true(counts.compressed < 1_500_000, `${counts.compressed} bytes were compressed to import`);
    t.deepEqual(
      base.frames.map(({ codec, prologue }) => `${codec} ${prologue.toString()}`),
      [`bzip2 BZh${args[0].slice(1)}`],
    );
    const file = fileOf(base, blobs);
    t.true((await output('bzip2', ['-dc'], file)).equals(PLAIN));
    t.true(file.length < vendor.length + 4096);
    t.deepEqual(decodeDescriptor(encodeDescriptor(base)), base);
    const plainBlobs = new MemoryBlobs();
    t.deepEqual(
      listed(await loadEntries(base, blobs)),
      listed(await loadEntries(await read(PLAIN, plainBlobs), plainBlobs)),
    );

    const edits = [put('/doc/20', 'changed'), remove('/lib/39'), put('/new', noise(50_000, 9))];
    const work = zeroCounts();
    const edited = await splice(base, edits, blobs, [], work);
    t.true(work.compressed < 3 * 1024 * 1024, `${work.compressed} bytes were compressed to edit`);
    const before = new Set(base.frames[0]?.segments.map(({ blob }) => blob));
    const after = edited.frames[0]?.segments.map(({ blob }) => blob) ?? [];
    t.true(after.filter((blob) => !before.has(blob)).length <= 8);
    await allDecode(t, fileOf(edited, blobs), await rewriteArchive(PLAIN, edits, EDIT_TIME));
    t.deepEqual(encodeDescriptor(await splice(base, edits, blobs)), encodeDescriptor(edited));

    const again = zeroCounts();
    await splice(base, edits, blobs, [edited], again);
    t.is(again.compressed, 0, 'what was built before is not compressed again');
  });
}

/** Files by title, with the codec and plain bytes of each frame that reading gives. */
const FILES: readonly {
  readonly title: string;
  readonly file: () => Promise<Buffer>;
  readonly frames: readonly (readonly [string, Buffer])[];
}[] = [
  {
    title: 'two archives in one stream',
    file: () => bzip2(Buffer.concat([SMALL, PLAIN])),
    frames: [['bzip2', Buffer.concat([SMALL, PLAIN])]],
  },
  {
    title: 'two archives in two streams',
    file: async () => Buffer.concat([await bzip2(SMALL, 1), await bzip2(PLAIN, 9)]),
    frames: [
      ['bzip2', SMALL],
      ['bzip2', PLAIN],
    ],
  },
  {
    title: 'one archive in streams of level 1 and 9',
    file: async () =>
      Buffer.concat([await bzip2(PLAIN.subarray(0, 777_777), 1), await bzip2(PLAIN.subarray(777_777), 9)]),
    frames: [['bzip2', PLAIN]],
  },
  {
    title: 'plain microcode, then bzip2, then gzip',
    file: async () => Buffer.concat([SMALL, await bzip2(PLAIN), zlib.gzipSync(SMALL)]),
    frames: [
      ['none', SMALL],
      ['bzip2', PLAIN],
      ['gzip', SMALL],
    ],
  },
  {
    title: 'an empty stream, then an archive, then zeros',
    file: async () => Buffer.concat([await bzip2(Buffer.alloc(0)), await bzip2(SMALL), Buffer.alloc(100)]),
    frames: [
      ['bzip2', SMALL],
      ['none', Buffer.alloc(100)],
    ],
  },
  {
    title: 'a randomised block',
    file: async () => randomised(await bzip2(SMALL)),
    frames: [['bzip2', SMALL]],
  },
  {
    title: 'an archive that ends in 5 MB of zeros',
    file: () => bzip2(Buffer.concat([SMALL, Buffer.alloc(5_000_000)])),
    frames: [['bzip2', Buffer.concat([SMALL, Buffer.alloc(5_000_000)])]],
  },
];

for (const { title, file, frames } of FILES) {
  test(`reads: ${title}`, async (t) => {
    const blobs = new MemoryBlobs();
    const base = await read(await file(), blobs);
    t.deepEqual(
      base.frames.map(({ codec }) => codec),
      frames.map(([codec]) => codec),
    );
    // A run of plain zeros keeps its first ones as its prologue, which may be all of them.
    for (const [at, plain] of (await plainOf(base, blobs)).entries())
      t.true(plain.equals(frames[at]![1].subarray(frames[at]![1].length - plain.length)));
    const names = (await loadEntries(base, blobs)).length;
    const again = await read(fileOf(base, blobs), new MemoryBlobs());
    t.is(again.frames.length, base.frames.length);
    if (frames.length === 1) await allDecode(t, fileOf(base, blobs), frames[0]![1]);
    const edited = await splice(base, [put('/added', 'new')], blobs);
    t.is((await loadEntries(edited, blobs)).length, names + 1);
  });
}

/** An archive with something whose header begins `distance` bytes from where pbzip2's blocks make a segment end. */
function around(distance: number, last: Item): { plain: Buffer; items: Item[] } {
  const before = 600_000 + distance - 112; // the header of a file whose name has one byte
  const items = [item({ name: 'a', ino: 1, data: filling(before, 1) }), last];
  const after = item({ name: 'after', ino: 3, data: prose(200_000, 3) });
  return { items, plain: archiveBytes(last.name === 'TRAILER!!!' ? [items[0]!] : [...items, after]) };
}

const STRADDLING: readonly (readonly [what: string, length: number, Item])[] = [
  ['a file', 120, item({ name: 'some/file', ino: 2, data: prose(300, 2) })],
  [
    'a symbolic link',
    316,
    item({ name: 'link', ino: 2, mode: LINK | 0o777, data: Buffer.from('x'.repeat(200)) }),
  ],
  ['the trailer', 124, item({ name: 'TRAILER!!!' })],
];

for (const [what, length, last] of STRADDLING) {
  test(`${what} across the end of a block`, async (t) => {
    for (let distance = 4; distance >= -length - 4; distance -= 24) {
      const { plain } = around(distance, last);
      const blobs = new MemoryBlobs();
      const base = await read(await output('pbzip2', ['-b1', '-c'], plain), blobs);
      t.true((await output('bzip2', ['-dc'], fileOf(base, blobs))).equals(plain), `${distance}`);
      const plainBlobs = new MemoryBlobs();
      t.deepEqual(
        listed(await loadEntries(base, blobs)),
        listed(await loadEntries(await read(plain, plainBlobs), plainBlobs)),
        `${distance}`,
      );
      const edits =
        what === 'the trailer' ? [put('/added', 'x')] : [remove(`/${last.name}`), put('/after', 'shorter')];
      const [edited] = await plainOf(await splice(base, edits, blobs), blobs);
      t.true(edited?.equals(await rewriteArchive(plain, edits, EDIT_TIME)), `${distance}`);
    }
  });
}

test('any edits give byte for byte what rewriting the whole archive gives', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      archive,
      changes,
      fc.constantFrom(1, 4, 512),
      fc.constantFrom(...WRITERS),
      async (items, wishes, block, [program, ...args]) => {
        const plain = archiveBytes(items, block);
        const edits = await editsOf(wishes, FileTree.unpack(items));
        const blobs = new MemoryBlobs();
        const base = await read(await output(program, args, plain), blobs);
        const edited = await splice(base, edits, blobs);
        const got = await output('bzip2', ['-dc'], fileOf(edited, blobs));
        t.true(got.equals(await rewriteArchive(plain, edits, EDIT_TIME)));
        t.true(got.equals(Buffer.concat(await plainOf(edited, blobs))));
      },
    ),
    { numRuns: 25, seed: 1 },
  );
});

test('an archive cut short anywhere is refused', async (t) => {
  const file = await bzip2(SMALL);
  for (let length = 1; length < file.length; length += 3) {
    const error = await t.throwsAsync(read(file.subarray(0, length), new MemoryBlobs()), {
      instanceOf: ImageError,
    });
    t.true(['TRUNCATED', 'BAD_MAGIC'].includes(error.code), `${error.code} at ${length}`);
  }
  const whole = await bzip2(PLAIN.subarray(0, 1_000_000), 1);
  const error = await t.throwsAsync(read(whole, new MemoryBlobs()), { instanceOf: ImageError });
  t.is(error.code, 'TRUNCATED');
});

test('a stored segment that is damaged says how to look at the store', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(await bzip2(SMALL), blobs);
  const [segment] = base.frames[0]!.segments;
  const stored = blobs.held.get(segment!.blob)!;
  stored[stored.length >> 1]! ^= 0x20;
  const error = await t.throwsAsync(plainOf(base, blobs), { instanceOf: ImageError });
  t.is(error.code, 'BAD_CHECKSUM');
  t.regex(error.message, /rackboot store verify/);
});

test('damaged archives are read as bzip2 reads them, or refused', async (t) => {
  const file = await bzip2(SMALL);
  for (let run = 0; run < 100; run++) {
    const damaged = Buffer.from(file);
    damaged[(run * 37) % file.length]! ^= 1 << (run % 8);
    const blobs = new MemoryBlobs();
    const base = await read(damaged, blobs).catch((error: unknown) => {
      if (error instanceof ImageError) return undefined;
      throw error;
    });
    if (base !== undefined) t.true((await output('bzip2', ['-dc'], damaged)).equals(SMALL), `run ${run}`);
  }
  t.pass();
});
