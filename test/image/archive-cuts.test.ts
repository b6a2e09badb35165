import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { cutsOf } from '../../src/image/archive-cuts.js';
import { encodeDescriptor, type ArchiveDescriptor } from '../../src/image/archive.js';
import { readArchive } from '../../src/image/read-archive.js';
import { zeroCounts } from '../../src/image/segment-writer.js';
import { noise } from '../store/temporary-site.js';
import { archive, changes, editsOf } from './archive-models.js';
import { FileTree } from './file-tree.js';
import { inChunks, MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item } from './newc.js';
import { fileOf, put, read, splice } from './splicing.js';

/** A descriptor without what only tells later edits of the same archive how it was made. */
const bare = ({ frames }: ArchiveDescriptor): string =>
  encodeDescriptor({
    frames: frames.map((frame) => ({
      ...frame,
      segments: frame.segments.map(({ source: _source, blocks: _blocks, ...segment }) => segment),
    })),
  }).toString();

test('an archive that edits left is read by its cuts to the same segments, and nothing is compressed', async (t) => {
  await fc.assert(
    fc.asyncProperty(archive, changes, fc.constantFrom(1, 4, 512), async (items, wishes, block) => {
      const blobs = new MemoryBlobs();
      const base = await read(zlib.gzipSync(archiveBytes(items, block), { level: 1 }), blobs);
      for (const made of [base, await splice(base, await editsOf(wishes, FileTree.unpack(items)), blobs)]) {
        const counts = zeroCounts();
        const file = fileOf(made, blobs);
        const others = new MemoryBlobs();
        const again = await readArchive(
          inChunks(file, [1000]),
          others,
          counts,
          undefined,
          undefined,
          cutsOf(made),
        );
        t.is(bare(again), bare(made));
        t.true(fileOf(again, others).equals(file));
        t.is(counts.compressedSegments, 0);
      }
    }),
    { numRuns: 80, seed: 1 },
  );
});

test('large files that an edit changed keep their cuts', async (t) => {
  const blobs = new MemoryBlobs();
  const items = ['a', 'b'].map((name, at) => item({ name, data: noise(at, 3_000_000), ino: at + 1 }));
  const base = await read(zlib.gzipSync(archiveBytes(items), { level: 1 }), blobs);
  const changed = Buffer.concat([
    noise(0, 1_700_000),
    Buffer.from('new'),
    noise(0, 3_000_000).subarray(1_700_000),
  ]);
  const edited = await splice(base, [put('/a', changed), put('/c', noise(7, 2_000_000))], blobs);
  const others = new MemoryBlobs();
  const file = fileOf(edited, blobs);
  const again = await readArchive(
    inChunks(file, [65536]),
    others,
    zeroCounts(),
    undefined,
    undefined,
    cutsOf(edited),
  );
  t.is(bare(again), bare(edited));
});

test('cuts that are not those of the stream are refused', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(zlib.gzipSync(archiveBytes([item({ name: 'a', data: noise(1, 5000) })])), blobs);
  const file = fileOf(base, blobs);
  const [[[stored, plain] = [0, 0], ...rest] = []] = cutsOf(base);
  for (const cuts of [
    [],
    [[stored, plain]],
    [[stored, plain + 1], ...rest],
    [[stored - 1, plain], ...rest],
    [[stored + 1, plain], ...rest],
    [[2 ** 40, plain], ...rest],
    [[stored, plain], ...rest, [4, 0]],
  ] as const) {
    const wrong = [cuts as readonly (readonly [number, number])[]];
    await t.throwsAsync(
      readArchive(inChunks(file, [65536]), new MemoryBlobs(), zeroCounts(), undefined, undefined, wrong),
      { name: 'ImageError' },
      JSON.stringify(cuts),
    );
  }
});
