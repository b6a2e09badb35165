import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { loadEntries, type PlacedEntry } from '../../src/image/archive-index.js';
import { encodeDescriptor } from '../../src/image/archive.js';
import { zeroCounts } from '../../src/image/segment-writer.js';
import { archive, changes, editsOf, EDIT_TIME } from './archive-models.js';
import { describeDisk, describeTree, FileTree } from './file-tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, parseArchive } from './newc.js';
import { cpioNames, inDirectory, output } from './programs.js';
import { rewriteArchive } from './reference-editor.js';
import { fileOf, read, splice } from './splicing.js';

test('any edits give byte for byte what rewriting the whole archive gives', async (t) => {
  await fc.assert(
    fc.asyncProperty(archive, changes, fc.constantFrom(1, 4, 512), async (items, wishes, block) => {
      const plain = archiveBytes(items, block);
      const edits = await editsOf(wishes, FileTree.unpack(items));
      const blobs = new MemoryBlobs();
      const base = await read(zlib.gzipSync(plain, { level: 1 }), blobs);
      const edited = await splice(base, edits, blobs);
      const got = zlib.gunzipSync(fileOf(edited, blobs));
      t.true(got.equals(await rewriteArchive(plain, edits, EDIT_TIME)));

      const again = await splice(base, edits, blobs);
      t.deepEqual(
        encodeDescriptor(again),
        encodeDescriptor(edited),
        'the same edits give the same descriptor',
      );
      const listed = (entries: readonly PlacedEntry[]): unknown[] =>
        entries.map(({ header, rawName, offset, end, target }) => ({ header, rawName, offset, end, target }));
      const rereadBlobs = new MemoryBlobs();
      t.deepEqual(
        listed(await loadEntries(edited, blobs)),
        listed(await loadEntries(await read(fileOf(edited, blobs), rereadBlobs), rereadBlobs)),
        'the index of the edited archive is the one that reading it would give',
      );
    }),
    { numRuns: 120, seed: 1 },
  );
});

test('edits from the base that reuse earlier ones give the same bytes for less work', async (t) => {
  await fc.assert(
    fc.asyncProperty(archive, changes, changes, async (items, first, second) => {
      const blobs = new MemoryBlobs();
      const tree = FileTree.unpack(items);
      const edits = await editsOf(first, tree);
      const more = [...edits, ...(await editsOf(second, tree))];
      const base = await read(zlib.gzipSync(archiveBytes(items), { level: 1 }), blobs);
      const earlier = await splice(base, edits, blobs);
      const [alone, reusing] = [zeroCounts(), zeroCounts()];
      const expected = await splice(base, more, blobs, [], alone);
      const got = await splice(base, more, blobs, [earlier], reusing);
      t.deepEqual(encodeDescriptor(got), encodeDescriptor(expected));
      t.true(reusing.compressed <= alone.compressed);
      t.is(
        reusing.compressedSegments + reusing.reusedSegments,
        alone.compressedSegments + alone.reusedSegments,
      );

      const counts = zeroCounts();
      const same = await splice(base, edits, blobs, [earlier], counts);
      t.deepEqual(encodeDescriptor(same), encodeDescriptor(earlier));
      t.is(counts.compressed, 0, 'a build that was made before compresses nothing');

      const inTwoSteps = await splice(earlier, more.slice(edits.length), blobs);
      const whole = await rewriteArchive(archiveBytes(items), edits, EDIT_TIME);
      const expectedSteps = await rewriteArchive(whole, more.slice(edits.length), EDIT_TIME);
      t.true(zlib.gunzipSync(fileOf(inTwoSteps, blobs)).equals(expectedSteps));
    }),
    { numRuns: 60, seed: 2 },
  );
});

test('what GNU cpio unpacks of an edited archive is the tree that the edits describe', async (t) => {
  await fc.assert(
    fc.asyncProperty(archive, changes, async (items, wishes) => {
      const blobs = new MemoryBlobs();
      const tree = FileTree.unpack(items);
      const edits = await editsOf(wishes, tree);
      const base = await read(zlib.gzipSync(archiveBytes(items), { level: 1 }), blobs);
      const file = fileOf(await splice(base, edits, blobs), blobs);
      await output('gzip', ['-t'], file);
      const plain = await output('gzip', ['-dc'], file);
      const names = parseArchive(plain).items.map(({ name }) => name);
      t.deepEqual(await cpioNames(plain), names.length === 0 ? [] : names);
      await inDirectory(async (dir) => {
        await output('cpio', ['-idmu', '--quiet', '--no-absolute-filenames'], plain, dir);
        t.deepEqual(await describeDisk(dir), describeTree(tree));
      });
    }),
    { numRuns: 40, seed: 3 },
  );
});
