import test from 'ava';
import fc from 'fast-check';
import { MarkerCutter } from '../../../src/image/bzip2/markers.js';

const MARKER = Buffer.from('abac');

test('what lies between markers comes out, however the bytes are cut into chunks', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.stringMatching(/^[abc]{0,9}$/).filter((text) => !`${text}abac`.slice(0, -1).includes('abac')),
      ),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      fc.stringMatching(/^[ab]{0,5}$/),
      (between, sizes, rest) => {
        const bytes = Buffer.from(between.map((text) => `${text}${MARKER.toString()}`).join('') + rest);
        const cutter = new MarkerCutter(MARKER);
        const found: string[] = [];
        for (let at = 0, n = 0; at < bytes.length; n++) {
          const size = sizes[n % sizes.length]!;
          for (const pieces of cutter.push(bytes.subarray(at, at + size)))
            found.push(Buffer.concat(pieces).toString());
          at += size;
        }
        t.deepEqual(found, between);
        t.is(cutter.pending, rest.length > 0);
      },
    ),
    { numRuns: 2000 },
  );
});
