import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { loadEntries } from '../../src/image/archive-index.js';
import { archiveMap, encodeDescriptor, type ArchiveDescriptor } from '../../src/image/archive.js';
import { collect } from '../../src/image/chunks.js';
import { codec } from '../../src/image/codec.js';
import { pathFromText } from '../../src/image/cpio/path.js';
import { contentOf, type Edit } from '../../src/image/edit.js';
import { ImageError } from '../../src/image/errors.js';
import { readArchive } from '../../src/image/read-archive.js';
import { zeroCounts, type SegmentCounts } from '../../src/image/segment-writer.js';
import { spliceArchive } from '../../src/image/splice.js';
import { archive, changes, DIR, editsOf, EDIT_TIME, FILE, filling } from './archive-models.js';
import { describeDisk, describeTree, FileTree } from './file-tree.js';
import { inChunks, MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, parseArchive, type Item } from './newc.js';
import { cpioNames, inDirectory, output } from './programs.js';
import { rewriteArchive } from './reference-editor.js';

const read = (file: Buffer, blobs: MemoryBlobs): Promise<ArchiveDescriptor> =>
  readArchive(inChunks(file, [65536]), blobs, zeroCounts());

async function splice(
  base: ArchiveDescriptor,
  edits: readonly Edit[],
  blobs: MemoryBlobs,
  earlier: readonly ArchiveDescriptor[] = [],
  counts: SegmentCounts = zeroCounts(),
): Promise<ArchiveDescriptor> {
  return spliceArchive(base, edits, { blobs, writer: blobs, counts, mtime: EDIT_TIME, earlier });
}

const fileOf = (descriptor: ArchiveDescriptor, blobs: MemoryBlobs): Buffer =>
  blobs.materialise(archiveMap(descriptor));

/** The plain bytes of each frame. */
async function plainOf(descriptor: ArchiveDescriptor, blobs: MemoryBlobs): Promise<Buffer[]> {
  return Promise.all(
    descriptor.frames.map(async (frame) => {
      const parts = frame.segments.map(({ blob, plain }) =>
        codec(frame.codec).decompress(blobs.held.get(blob)!, plain),
      );
      return Buffer.concat(await Promise.all(parts));
    }),
  );
}

const put = (path: string, data: Buffer | string, mode = FILE | 0o644): Edit => ({
  op: 'put',
  path: pathFromText(path),
  mode,
  uid: 0,
  gid: 0,
  content: contentOf(Buffer.from(data)),
  from: 'test',
});
const remove = (path: string): Edit => ({
  op: 'delete',
  path: pathFromText(path),
  required: true,
  from: 'test',
});
const chmod = (path: string, mode: number): Edit => ({
  op: 'chmod',
  path: pathFromText(path),
  mode,
  from: 'test',
});

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
      const reread = await read(fileOf(edited, blobs), new MemoryBlobs());
      const listed = (entries: Awaited<ReturnType<typeof loadEntries>>): unknown[] =>
        entries.map(({ header, rawName, offset, end, target }) => ({ header, rawName, offset, end, target }));
      const rereadBlobs = new MemoryBlobs();
      t.deepEqual(
        listed(await loadEntries(edited, blobs)),
        listed(await loadEntries(await read(fileOf(edited, blobs), rereadBlobs), rereadBlobs)),
        'the index of the edited archive is the one that reading it would give',
      );
      t.truthy(reread);
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
