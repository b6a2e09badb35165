import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { combineCrc32 } from '../../../src/image/gzip/crc32.js';

const bytes = fc.uint8Array({ maxLength: 5000 }).map((array) => Buffer.from(array));

test('the CRC-32 of a whole from those of its parts', (t) => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 6 }), (parts) => {
      const combined = parts.reduce((crc, part) => combineCrc32(crc, zlib.crc32(part), part.length), 0);
      t.is(combined, zlib.crc32(Buffer.concat(parts)));
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('lengths around powers of two', (t) => {
  const first = Buffer.from('before');
  for (let power = 0; power <= 22; power++) {
    for (const length of [2 ** power - 1, 2 ** power, 2 ** power + 1]) {
      const second = Buffer.alloc(length, 0x5a);
      const expected = zlib.crc32(second, zlib.crc32(first));
      t.is(combineCrc32(zlib.crc32(first), zlib.crc32(second), length), expected, `${length}`);
    }
  }
});

test('lengths beyond 4 GiB are the same as their halves one after another', (t) => {
  for (const length of [2 ** 32, 2 ** 32 + 5, 10 * 2 ** 30, 2 ** 40 + 1]) {
    const [front, back] = [Math.floor(length / 2), Math.ceil(length / 2)];
    const inTwo = combineCrc32(combineCrc32(0xdead_beef, 0, front), 0, back);
    t.is(combineCrc32(0xdead_beef, 0, length), inTwo);
  }
});
