import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { loadEntries } from '../../src/image/archive-index.js';
import type { ArchiveDescriptor } from '../../src/image/archive.js';
import type { Edit } from '../../src/image/edit.js';
import { archive, changes, DIR, editsOf, EDIT_TIME } from './archive-models.js';
import { describeTree, FileTree } from './file-tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, parseArchive } from './newc.js';
import { output } from './programs.js';
import { rewriteArchive } from './reference-editor.js';
import { fileOf, put, read, remove, splice } from './splicing.js';

const EARLY = Buffer.concat([
  archiveBytes([item({ name: 'kernel/x86/microcode/GenuineIntel.bin', data: Buffer.alloc(9000, 'µ') })]),
  Buffer.alloc(1024),
]);

/** An archive's file as somebody wrote it: what stands before the compressed archive, and after it. */
interface Layout {
  readonly before: Buffer;
  readonly gzip: Buffer;
  readonly after: Buffer;
}
const NOTHING = Buffer.alloc(0);
const by =
  (program: string, ...args: readonly string[]) =>
  async (plain: Buffer): Promise<Layout> => ({
    before: NOTHING,
    gzip: await output(program, args, plain),
    after: NOTHING,
  });

const layouts: readonly (readonly [string, (plain: Buffer, cut: number) => Promise<Layout>])[] = [
  ['gzip -9', by('gzip', '-9')],
  ['pigz', by('pigz', '-b', '128')],
  ['pigz -i', by('pigz', '-i', '-b', '128')],
  ['pigz -0, stored', by('pigz', '-0')],
  ['busybox gzip', by('busybox', 'gzip', '-c')],
  [
    'members one after another',
    async (plain, cut) => ({
      before: NOTHING,
      gzip: Buffer.concat([zlib.gzipSync(plain.subarray(0, cut)), zlib.gzipSync(plain.subarray(cut))]),
      after: NOTHING,
    }),
  ],
  ['plain microcode first', async (plain) => ({ before: EARLY, gzip: zlib.gzipSync(plain), after: NOTHING })],
  [
    'plain microcode first, zeros last',
    async (plain) => ({ before: EARLY, gzip: zlib.gzipSync(plain), after: Buffer.alloc(700) }),
  ],
];

/** What an index says of every entry, but for the blobs that hold it. */
async function indexOf(descriptor: ArchiveDescriptor, blobs: MemoryBlobs): Promise<unknown[]> {
  return (await loadEntries(descriptor, blobs)).map(
    ({ header, rawName, frame, archive: number, offset, dataOffset, end, target }) => ({
      ...{ header, rawName, frame, number, offset, dataOffset, end, target },
    }),
  );
}

for (const [title, layOut] of layouts) {
  test(`edits of a file by ${title} are those of a full rewrite, and nothing else`, async (t) => {
    await fc.assert(
      fc.asyncProperty(archive, changes, fc.nat(), fc.nat(3), async (items, wishes, where, zeros) => {
        const plain = Buffer.concat([archiveBytes(items), Buffer.alloc(zeros * 300)]);
        // A member may end anywhere before the trailer does.
        const inside = archiveBytes(items, 4).length;
        const { before, gzip, after } = await layOut(plain, 1 + (where % (inside - 1)));
        const edits = await editsOf(wishes, FileTree.unpack(items));
        const blobs = new MemoryBlobs();
        const base = await read(Buffer.concat([before, gzip, after]), blobs);
        const file = fileOf(await splice(base, edits, blobs), blobs);
        t.true(file.subarray(0, before.length).equals(before), 'what stands before is untouched');
        const middle = file.subarray(before.length, file.length - after.length);
        t.true(file.subarray(file.length - after.length).equals(after), 'and what stands after');
        await output('gzip', ['-t'], middle);
        t.true((await output('gzip', ['-dc'], middle)).equals(await rewriteArchive(plain, edits, EDIT_TIME)));

        const reread = new MemoryBlobs();
        const edited = await splice(base, edits, blobs);
        t.deepEqual(await indexOf(edited, blobs), await indexOf(await read(file, reread), reread));
      }),
      { numRuns: 25, seed: 6 },
    );
  });
}

test('edits one by one, each on what the last one made, leave the tree of all at once', async (t) => {
  await fc.assert(
    fc.asyncProperty(archive, changes, async (items, wishes) => {
      const tree = FileTree.unpack(items);
      const edits = await editsOf(wishes, tree);
      const blobs = new MemoryBlobs();
      const base = await read(zlib.gzipSync(archiveBytes(items), { level: 1 }), blobs);
      const unpack = (descriptor: ArchiveDescriptor): string[] =>
        describeTree(FileTree.unpack(parseArchive(zlib.gunzipSync(fileOf(descriptor, blobs))).items));
      let stepwise = base;
      for (const edit of edits) stepwise = await splice(stepwise, [edit], blobs);
      t.deepEqual(unpack(stepwise), describeTree(tree));
      t.deepEqual(unpack(await splice(base, edits, blobs)), describeTree(tree));
    }),
    { numRuns: 60, seed: 7 },
  );
});

test('what was put and is deleted again leaves the bytes there were, at once or later', async (t) => {
  await fc.assert(
    fc.asyncProperty(archive, fc.constantFrom(1, 4, 512), fc.nat(2_500_000), async (items, block, size) => {
      const plain = archiveBytes(items, block);
      const blobs = new MemoryBlobs();
      const base = await read(zlib.gzipSync(plain, { level: 1 }), blobs);
      const puts: Edit[] = [
        put('rackboot', '', DIR | 0o700),
        put('rackboot/a/b', Buffer.alloc(size, 'rackboot')),
        put('rackboot/c', 'c'),
      ];
      const there = await splice(base, puts, blobs);
      t.false(zlib.gunzipSync(fileOf(there, blobs)).equals(plain));
      const gone = [
        await splice(there, [remove('rackboot')], blobs),
        await splice(base, [...puts, remove('rackboot')], blobs),
      ];
      for (const descriptor of gone) {
        t.true(zlib.gunzipSync(fileOf(descriptor, blobs)).equals(plain));
        t.deepEqual(await indexOf(descriptor, blobs), await indexOf(base, blobs));
      }
    }),
    { numRuns: 40, seed: 8 },
  );
});
