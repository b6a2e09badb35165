import test from 'ava';
import fc from 'fast-check';
import { ContentCuts } from '../../src/image/content-cuts.js';
import { noise } from '../store/temporary-site.js';

const DISTANCES = { min: 256 * 1024, max: 1024 * 1024 };
const SIZE = 40 * 1024 * 1024;

/** The pieces of `bytes`, as their lengths. */
function pieces(bytes: Buffer, distances = DISTANCES, chunk = bytes.length): number[] {
  const cuts = new ContentCuts(distances);
  const at: number[] = [];
  for (let start = 0; start < bytes.length; start += chunk)
    at.push(...cuts.push(bytes.subarray(start, start + chunk)));
  return [...at, bytes.length].map((cut, index) => cut - (at[index - 1] ?? 0));
}

/** The pieces of `bytes` by content. */
function contents(bytes: Buffer): Set<string> {
  let start = 0;
  return new Set(pieces(bytes).map((length) => bytes.toString('latin1', start, (start += length))));
}

test('pieces are neither small nor large, and most of them cut by content', (t) => {
  const found = pieces(noise(1, SIZE));
  t.true(found.slice(0, -1).every((length) => length >= DISTANCES.min && length <= DISTANCES.max));
  t.true(found.length >= SIZE / DISTANCES.max && found.length <= SIZE / DISTANCES.min);
  t.true(new Set(found).size > found.length / 2, 'most are cut by their content');
});

test('bytes that are all the same are cut at the longest distance', (t) => {
  const found = pieces(Buffer.alloc(SIZE, 7));
  t.true(found.slice(0, -1).every((length) => length === DISTANCES.max || length === DISTANCES.min));
});

test('it does not matter how the bytes come', (t) => {
  const bytes = noise(2, 300_000);
  const distances = { min: 64, max: 4096 };
  const whole = pieces(bytes, distances);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9000 }), (chunk) => {
      t.deepEqual(pieces(bytes, distances, chunk), whole);
    }),
    { seed: 1, numRuns: 60 },
  );
});

for (const [what, at, inserted] of [
  ['one byte is put before the first', 0, 1],
  ['one byte is put into the middle', SIZE / 2, 1],
  ['1,000 bytes are put near the end', SIZE - 100_000, 1000],
] as const) {
  test(`the old cuts come back when ${what}`, (t) => {
    const bytes = noise(3, SIZE);
    const after = Buffer.concat([bytes.subarray(0, at), noise(4, inserted), bytes.subarray(at)]);
    const old = contents(bytes);
    const fresh = [...contents(after)].filter((piece) => !old.has(piece));
    t.true(fresh.length <= 3, `${fresh.length} pieces are new`);
  });
}
