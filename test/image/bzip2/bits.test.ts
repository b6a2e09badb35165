import test from 'ava';
import fc from 'fast-check';
import { bitsAt, sliceBits, writeBits } from '../../../src/image/bzip2/bits.js';
import { bitString, fromBits } from './samples.js';

const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((array) => Buffer.from(array));

/** Some bytes, and two of their bits. */
const ranges = fc.tuple(bytes, fc.nat(), fc.nat()).map(([buffer, a, b]) => {
  const bits = buffer.length * 8;
  return {
    buffer,
    from: Math.min(a % (bits + 1), b % (bits + 1)),
    to: Math.max(a % (bits + 1), b % (bits + 1)),
  };
});

/** All bits, told without the code under test. */
const textOf = (buffer: Buffer): string =>
  Array.from(buffer, (byte) => byte.toString(2).padStart(8, '0')).join('');

test('bits are numbered from the first byte’s most significant one', (t) => {
  fc.assert(
    fc.property(bytes, fc.nat(400), fc.integer({ min: 1, max: 24 }), (buffer, at, count) => {
      const expected = textOf(buffer)
        .padEnd(500, '0')
        .slice(at, at + count);
      t.is(bitsAt(buffer, at, count), Number.parseInt(expected, 2));
    }),
    { seed: 1, numRuns: 1000 },
  );
});

test('a slice begins where it is told to, with zeros before and after', (t) => {
  fc.assert(
    fc.property(ranges, fc.nat(7), ({ buffer, from, to }, lead) => {
      if (to === from) return;
      const expected = '0'.repeat(lead) + textOf(buffer).slice(from, to);
      t.deepEqual(sliceBits(buffer, from, to, lead), fromBits(expected));
      t.is(bitString(buffer, from, to), textOf(buffer).slice(from, to));
    }),
    { seed: 1, numRuns: 2000 },
  );
});

test('written bits are read again, and their neighbours stay', (t) => {
  fc.assert(
    fc.property(
      bytes,
      fc.nat(),
      fc.integer({ min: 1, max: 24 }),
      fc.nat(0xffffff),
      (buffer, place, length, value) => {
        const count = Math.min(length, buffer.length * 8);
        const at = place % (buffer.length * 8 - count + 1);
        const before = textOf(buffer);
        const written = value % 2 ** count;
        writeBits(buffer, at, count, written);
        t.is(bitsAt(buffer, at, count), written);
        t.is(textOf(buffer).slice(0, at), before.slice(0, at));
        t.is(textOf(buffer).slice(at + count), before.slice(at + count));
      },
    ),
    { seed: 1, numRuns: 1000 },
  );
});
