import test from 'ava';
import fc from 'fast-check';
import { answerBytes, type ByteAnswer, type ConditionalHeaders } from '../../../src/pxe/http/conditional.js';

const etag = '"abc"';
const part = (start: number, end: number): ByteAnswer => ({ status: 206, start, end });
const rows: readonly (readonly [ConditionalHeaders, number, ByteAnswer])[] = [
  [{}, 10, { status: 200 }],
  [{ range: 'bytes=0-3' }, 10, part(0, 4)],
  [{ range: 'bytes=4-' }, 10, part(4, 10)],
  [{ range: 'bytes=-3' }, 10, part(7, 10)],
  [{ range: 'bytes=-30' }, 10, part(0, 10)],
  [{ range: 'bytes=0-999' }, 10, part(0, 10)],
  [{ range: 'bytes = 9 - 9' }, 10, part(9, 10)],
  [{ range: 'BYTES=0-0' }, 10, part(0, 1)],
  [{ range: 'bytes=10-' }, 10, { status: 416 }],
  [{ range: 'bytes=-0' }, 10, { status: 416 }],
  [{ range: 'bytes=0-' }, 0, { status: 416 }],
  [{ range: 'bytes=99999999999999999999-' }, 10, { status: 416 }],
  // Malformed, reversed, of another unit, or several: the whole.
  [{ range: 'bytes=3-1' }, 10, { status: 200 }],
  [{ range: 'bytes=-' }, 10, { status: 200 }],
  [{ range: 'bytes=a-b' }, 10, { status: 200 }],
  [{ range: 'lines=0-1' }, 10, { status: 200 }],
  [{ range: 'bytes=0-1,4-5' }, 10, { status: 200 }],
  [{ range: 'bytes=0-1', 'if-range': '"abc"' }, 10, part(0, 2)],
  [{ range: 'bytes=0-1', 'if-range': '"abd"' }, 10, { status: 200 }],
  [{ range: 'bytes=0-1', 'if-range': 'W/"abc"' }, 10, { status: 200 }],
  [{ range: 'bytes=0-1', 'if-range': 'Sat, 21 Nov 2026 14:19:02 GMT' }, 10, { status: 200 }],
  [{ 'if-none-match': '"abc"' }, 10, { status: 304 }],
  [{ 'if-none-match': 'W/"abc"' }, 10, { status: 304 }],
  [{ 'if-none-match': '"x", "abc"' }, 10, { status: 304 }],
  [{ 'if-none-match': '*' }, 10, { status: 304 }],
  [{ 'if-none-match': '"x"' }, 10, { status: 200 }],
  [{ 'if-none-match': '"abc"', range: 'bytes=0-1' }, 10, { status: 304 }],
  [{ 'if-match': '"abc"' }, 10, { status: 200 }],
  [{ 'if-match': '*', range: 'bytes=1-1' }, 10, part(1, 2)],
  [{ 'if-match': 'W/"abc"' }, 10, { status: 412 }],
  [{ 'if-match': '"x"', 'if-none-match': '"abc"' }, 10, { status: 412 }],
];
for (const [headers, size, expected] of rows) {
  test(`${JSON.stringify(headers)} of ${size} bytes`, (t) => {
    t.deepEqual(answerBytes('GET', headers, etag, size), expected);
  });
}

test('HEAD knows no ranges, but conditions', (t) => {
  t.deepEqual(answerBytes('HEAD', { range: 'bytes=0-1' }, etag, 10), { status: 200 });
  t.deepEqual(answerBytes('HEAD', { 'if-none-match': etag }, etag, 10), { status: 304 });
});

test('whatever is asked for, a part lies inside and is not empty', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'bytes=0123456789-, '.split('')) }),
      fc.nat(50),
      (tail, size) => {
        for (const range of [tail, `bytes=${tail}`]) {
          const answer = answerBytes('GET', { range }, etag, size);
          if (answer.status === 206)
            t.true(answer.start >= 0 && answer.start < answer.end && answer.end <= size);
          else t.true(answer.status === 200 || answer.status === 416);
        }
      },
    ),
  );
});
