import test from 'ava';
import fc from 'fast-check';
import { padding4 } from '../../src/image/cpio/header.js';
import { CutPlanner, DEFAULT_SIZES, PIECE, SEGMENT_MAX, SEGMENT_MIN } from '../../src/image/cuts.js';

interface File {
  readonly name: string;
  readonly size: number;
}

/** The cuts of an archive of `files`, by file and distance from its header; and the sizes of what lies between. */
function cutsOf(files: readonly File[]): { cuts: string[]; segments: number[]; entries: number[] } {
  const planner = new CutPlanner({ ...DEFAULT_SIZES, inside: 'distance' });
  const cuts: string[] = [];
  const segments: number[] = [];
  const entries: number[] = [];
  let offset = 0;
  let last = 0;
  files.forEach(({ name, size }, number) => {
    const head = 110 + name.length + 1;
    const dataOffset = offset + head + padding4(head);
    const end = dataOffset + size + padding4(size);
    for (const cut of planner.entry({ rawName: name, offset, dataOffset, end }).at) {
      cuts.push(cut === end ? `after ${name}` : `${name}+${cut - offset}`);
      segments.push(cut - last);
      entries.push(number);
      last = cut;
    }
    offset = end;
  });
  segments.push(offset - last);
  return { cuts, segments, entries };
}

const sizes = fc.oneof(
  { weight: 20, arbitrary: fc.nat(3000) },
  { weight: 10, arbitrary: fc.nat(60_000) },
  { weight: 3, arbitrary: fc.nat(900_000) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(PIECE - 200, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 5 * PIECE - 7),
  },
);
const archive = fc
  .array(sizes, { minLength: 200, maxLength: 400 })
  .map((all) =>
    all.map((size, number): File => ({ name: `usr/lib/file-${(number * 7919) % 10_007}`, size })),
  );

test('no segment is larger than the largest, and none but the last of a run is small', (t) => {
  fc.assert(
    fc.property(archive, (files) => {
      const { segments } = cutsOf(files);
      t.true(segments.every((size) => size > 0 || size === segments.at(-1)));
      t.true(
        segments.every((size) => size <= SEGMENT_MAX),
        `${Math.max(...segments)}`,
      );
    }),
    { seed: 1 },
  );
});

test('small files are gathered: segments of them alone hold at least the least', (t) => {
  const files = Array.from({ length: 5000 }, (_, number) => ({
    name: `f${number}`,
    size: 1000 + (number % 700),
  }));
  const { segments } = cutsOf(files);
  t.true(segments.slice(0, -1).every((size) => size >= SEGMENT_MIN));
});

for (const [size, pieces] of [
  [PIECE - 116, ['large+0', 'after large']],
  [PIECE, ['large+0', 'after large']],
  [PIECE + 1, ['large+0', `large+${PIECE + 116}`, 'after large']],
  [3 * PIECE, ['large+0', `large+${PIECE + 116}`, `large+${2 * PIECE + 116}`, 'after large']],
] as const) {
  test(`a file of ${size} bytes has segments of its own`, (t) => {
    const { cuts } = cutsOf([
      { name: 'a', size: 5 },
      { name: 'large', size },
      { name: 'b', size: 5 },
    ]);
    t.deepEqual(cuts, [...pieces]);
  });
}

test('a file just too small for that is gathered with its neighbours', (t) => {
  t.deepEqual(
    cutsOf([
      { name: 'a', size: 5 },
      { name: 'large', size: PIECE - 117 - 3 },
    ]).cuts,
    [],
  );
});

test('after an insertion the old cuts come back within a few segments', (t) => {
  const distances: number[] = [];
  fc.assert(
    fc.property(archive, fc.nat(150), fc.integer({ min: 1, max: 400_000 }), (files, at, size) => {
      const before = cutsOf(files);
      const after = cutsOf([...files.slice(0, at), { name: 'inserted', size }, ...files.slice(at)]);
      const old = new Set(before.cuts);
      const fresh = after.cuts.filter((cut) => !old.has(cut));
      distances.push(fresh.length);
      t.true(fresh.length <= 12, `${fresh.length} cuts are new`);
      const untouched = before.cuts.filter((_, cut) => before.entries[cut]! < at);
      t.deepEqual(after.cuts.slice(0, untouched.length), untouched, 'what stands before is cut as it was');
    }),
    { seed: 1, numRuns: 300 },
  );
  distances.sort((a, b) => a - b);
  t.true(distances[distances.length >> 1]! <= 2, `the median is ${distances[distances.length >> 1]}`);
});
