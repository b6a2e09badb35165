import { appendFile, lstat, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import test from 'ava';
import fc from 'fast-check';
import { loadEntries } from '../../../src/image/archive-index.js';
import type { ArchiveDescriptor } from '../../../src/image/archive.js';
import { readArchive } from '../../../src/image/read-archive.js';
import { zeroCounts } from '../../../src/image/segment-writer.js';
import {
  decodeMarks,
  encodeMarks,
  isTellable,
  type FileMarks,
} from '../../../src/image/unpacked/file-marks.js';
import { gatherEntries, type GatheredEntry } from '../../../src/image/unpacked/gather.js';
import { packPart } from '../../../src/image/unpacked/pack.js';
import { placeEntries } from '../../../src/image/unpacked/placement.js';
import { DIR } from '../archive-models.js';
import { inChunks, MemoryBlobs } from '../memory-blobs.js';
import { archiveBytes, item } from '../newc.js';
import { inDirectory } from '../programs.js';
import { plainOf } from '../splicing.js';

const LATER = 1n << 62n; // every file can be told
const BLANK = archiveBytes([item({ name: '.', mode: DIR | 0o755, nlink: 2, ino: 1 })]);

/** A directory that is packed again and again, each time with what was known of the time before. */
class Repacked {
  readonly blobs = new MemoryBlobs();
  readonly #directory: string;
  #last: { readonly descriptor: ArchiveDescriptor; readonly marks: FileMarks } | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What packing gives, what all of it anew would give, and which files were read. */
  async pack(): Promise<{ again: Buffer; anew: Buffer; read: string[] }> {
    const blank = await readArchive(inChunks(BLANK, [999]), this.blobs, zeroCounts());
    const current = this.#last?.descriptor ?? blank;
    const base = {
      placed: placeEntries(await loadEntries(current, this.blobs)),
      record: undefined,
      clock: LATER,
    };
    const tools = { blobs: this.blobs, writer: this.blobs, counts: zeroCounts(), earlier: [current] };
    const read: string[] = [];
    const gathered = (await gatherEntries(this.#directory, base)).map((entry) => watched(entry, read));
    const anew = await packPart(current, gathered, { part: 1, compress: undefined }, tools);
    read.length = 0;
    const frame = this.#last?.descriptor.frames[0];
    const { marks } = this.#last ?? {};
    const known =
      frame === undefined
        ? {}
        : {
            known: {
              frame,
              entries: await loadEntries({ frames: [frame] }, this.blobs),
              isUnchanged: ({ path, mark }: GatheredEntry) => mark !== undefined && marks?.get(path) === mark,
            },
          };
    const descriptor = await packPart(current, gathered, { part: 1, compress: undefined, ...known }, tools);
    const now = new Map(gathered.flatMap(({ path, mark }) => (mark === undefined ? [] : [[path, mark]])));
    this.#last = { descriptor, marks: decodeMarks(encodeMarks(now)) };
    return {
      again: Buffer.concat(await plainOf(descriptor, this.blobs)),
      anew: Buffer.concat(await plainOf(anew, this.blobs)),
      read: [...new Set(read)],
    };
  }
}

function watched(entry: GatheredEntry, read: string[]): GatheredEntry {
  const { size } = entry.content;
  return {
    ...entry,
    content: {
      size,
      read() {
        if (size > 0 && entry.mark !== undefined) read.push(entry.path);
        return entry.content.read();
      },
    },
  };
}

/** Bytes that do not compress and differ from one `seed` to the next. */
function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed * 2654435761 + 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

async function fill(root: string): Promise<void> {
  await mkdir(`${root}/d`, { recursive: true });
  for (let n = 0; n < 40; n++) await writeFile(`${root}/d/f${String(n).padStart(2, '0')}`, noise(100_000, n));
  await writeFile(`${root}/large`, noise(3_000_000, 99));
}

test('packed again without a change: no file is read, and the bytes are the same', async (t) => {
  await inDirectory(async (dir) => {
    await fill(`${dir}/x`);
    const directory = new Repacked(`${dir}/x`);
    const first = await directory.pack();
    t.true(first.again.equals(first.anew));
    const second = await directory.pack();
    t.deepEqual(second.read, []);
    t.true(second.again.equals(first.again));
  });
});

test('one file written: only what shares its segment is read, and the bytes are those of packing all anew', async (t) => {
  await inDirectory(async (dir) => {
    await fill(`${dir}/x`);
    const directory = new Repacked(`${dir}/x`);
    await directory.pack();
    await appendFile(`${dir}/x/d/f20`, 'more');
    const { again, anew, read } = await directory.pack();
    t.true(again.equals(anew));
    t.true(read.includes('d/f20'));
    t.true(read.length < 20, `${read.length} files were read`);
    t.false(read.includes('large'));
  });
});

test('a file whose size and time are put back is read all the same', async (t) => {
  await inDirectory(async (dir) => {
    await fill(`${dir}/x`);
    const directory = new Repacked(`${dir}/x`);
    await directory.pack();
    const { atime, mtime } = await lstat(`${dir}/x/d/f05`);
    await writeFile(`${dir}/x/d/f05`, noise(100_000, 555));
    await utimes(`${dir}/x/d/f05`, atime, mtime);
    const { again, anew } = await directory.pack();
    t.true(again.equals(anew));
    t.true(again.includes(noise(100_000, 555)));
  });
});

test('two files that change places are both packed where they are now', async (t) => {
  await inDirectory(async (dir) => {
    await fill(`${dir}/x`);
    const directory = new Repacked(`${dir}/x`);
    await directory.pack();
    await rename(`${dir}/x/d`, `${dir}/x/e`);
    await mkdir(`${dir}/x/d`);
    await rename(`${dir}/x/e/f01`, `${dir}/x/d/f02`);
    await rename(`${dir}/x/e/f02`, `${dir}/x/d/f01`);
    const { again, anew } = await directory.pack();
    t.true(again.equals(anew));
  });
});

test('whatever is done in the directory, packing again gives the bytes of packing all anew', async (t) => {
  const step = fc.oneof(
    fc.record({ op: fc.constant('write'), n: fc.nat(9), size: fc.constantFrom(0, 10, 200_000, 1_500_000) }),
    fc.record({ op: fc.constant('remove'), n: fc.nat(9), size: fc.constant(0) }),
    fc.record({ op: fc.constant('link'), n: fc.nat(9), size: fc.constant(0) }),
    fc.record({ op: fc.constant('pack'), n: fc.constant(0), size: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      await inDirectory(async (dir) => {
        const root = `${dir}/x`;
        await mkdir(root);
        for (let n = 0; n < 8; n++) await writeFile(`${root}/f${n}`, noise(90_000, n));
        const directory = new Repacked(root);
        let seed = 1000;
        for (const { op, n, size } of [...steps, { op: 'pack', n: 0, size: 0 }]) {
          if (op !== 'pack') await rm(`${root}/f${n}`, { force: true });
          if (op === 'write') await writeFile(`${root}/f${n}`, noise(size, seed++));
          if (op === 'link') await symlink(`f${(n + 1) % 10}`, `${root}/f${n}`);
          if (op !== 'pack') continue;
          const { again, anew } = await directory.pack();
          if (!again.equals(anew)) throw new Error('packing again gave other bytes');
        }
      });
    }),
    { numRuns: 25 },
  );
  t.pass();
});

test('a file that was changed in the tick of the clock has no mark', async (t) => {
  await inDirectory(async (dir) => {
    await writeFile(`${dir}/x`, 'x');
    const info = await lstat(`${dir}/x`, { bigint: true });
    t.false(isTellable(info, info.ctimeNs));
    t.true(isTellable(info, info.ctimeNs + 1n));
    const [entry] = await gatherEntries(dir, { placed: new Map(), record: undefined, clock: info.ctimeNs });
    t.is(entry?.mark, undefined);
  });
});
