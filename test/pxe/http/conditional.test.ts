import test from 'ava';
import fc from 'fast-check';
import { answerBytes, type ByteAnswer, type ConditionalHeaders } from '../../../src/pxe/http/conditional.js';

const etag = '"abc"';
const part = (start: number, end: number, ...more: readonly (readonly [number, number])[]): ByteAnswer => ({
  status: 206,
  ranges: [{ start, end }, ...more.map(([from, to]) => ({ start: from, end: to }))],
});
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
  [{ range: 'bytes=0-' }, 0, { status: 200 }],
  [{ range: 'bytes=5-6' }, 0, { status: 200 }],
  [{ range: 'bytes=99999999999999999999-' }, 10, { status: 416 }],
  // Several: those outside are left out, those that touch are one.
  [{ range: 'bytes=0-1,4-5' }, 10, part(0, 2, [4, 6])],
  [{ range: 'bytes=8-, 0-0 ,4-5' }, 10, part(8, 10, [0, 1], [4, 6])],
  [{ range: 'bytes=0-1,,20-30,' }, 10, part(0, 2)],
  [{ range: 'bytes=20-30,40-' }, 10, { status: 416 }],
  [{ range: 'bytes=0-3,2-5,-1' }, 10, part(0, 6, [9, 10])],
  [{ range: 'bytes=0-1,4-5,2-3' }, 10, part(0, 6)],
  [{ range: 'bytes=5-6,0-1,0-9' }, 10, part(0, 10)],
  [
    { range: `bytes=${Array.from({ length: 16 }, (_, at) => `${at * 2}-${at * 2}`).join(',')}` },
    1,
    part(0, 1),
  ],
  [
    { range: `bytes=${Array.from({ length: 17 }, (_, at) => `${at * 2}-${at * 2}`).join(',')}` },
    99,
    { status: 200 },
  ],
  [{ range: `bytes=${'0-0,'.repeat(1000)}` }, 99, { status: 200 }],
  // Malformed, reversed, or of another unit: the whole.
  [{ range: 'bytes=0-1,b' }, 10, { status: 200 }],
  [{ range: 'bytes=0-1,5-3' }, 10, { status: 200 }],
  [{ range: 'bytes=3-1' }, 10, { status: 200 }],
  [{ range: 'bytes=-' }, 10, { status: 200 }],
  [{ range: 'bytes=a-b' }, 10, { status: 200 }],
  [{ range: 'lines=0-1' }, 10, { status: 200 }],
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

test('whatever is asked for, parts lie inside, are not empty and do not touch', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'bytes=0123456789-, '.split('')) }),
      fc.nat(50),
      (tail, size) => {
        for (const range of [tail, `bytes=${tail}`]) {
          const answer = answerBytes('GET', { range }, etag, size);
          if (answer.status !== 206) {
            t.true(answer.status === 200 || answer.status === 416);
            continue;
          }
          let before = -1;
          for (const { start, end } of [...answer.ranges].sort((a, b) => a.start - b.start)) {
            t.true(start > before && start < end && end <= size, range);
            before = end;
          }
        }
      },
    ),
  );
});
