import test from 'ava';
import fc from 'fast-check';
import { RecentPages } from '../../src/store/recent-pages.js';

const page = 4096;
const gibibyte = 2 ** 30;

test('the pages that a read touched were read, no others', (t) => {
  const pages = new RecentPages(1000, () => 0);
  t.false(pages.has(0, 1));
  pages.add(page + 1, 2 * page + 1);
  for (const [start, end, is] of [
    [page, 3 * page, true],
    [page + 5, page + 6, true],
    [page - 1, page + 1, false],
    [2 * page, 3 * page + 1, false],
    [0, page, false],
  ] as const)
    t.is(pages.has(start, end), is, `${start} to ${end}`);
});

test('what was read is forgotten after twice the time at most, and after once at least', (t) => {
  let now = 0;
  const pages = new RecentPages(1000, () => now);
  now = 999;
  pages.add(0, page);
  now = 1998;
  t.true(pages.has(0, page));
  now = 3000;
  t.false(pages.has(0, page));
  pages.add(0, page);
  now = 9999;
  t.false(pages.has(0, page));
  pages.add(0, page);
  pages.clear();
  t.false(pages.has(0, page));
});

test('property: as a set of pages, also far into a large file', (t) => {
  const window = fc
    .tuple(fc.constantFrom(0, 128 * 2 ** 20 - 2 * page, 300 * gibibyte), fc.nat(20 * page), fc.nat(40 * page))
    .map(([base, start, length]) => [base + start, base + start + length] as const);
  fc.assert(
    fc.property(fc.array(window, { maxLength: 8 }), window, (read, [start, end]) => {
      const pages = new RecentPages(1000, () => 0);
      const model = new Set<number>();
      for (const [from, to] of read) {
        pages.add(from, to);
        for (let at = Math.floor(from / page); at * page < to; at++) model.add(at);
      }
      let isIn = true;
      for (let at = Math.floor(start / page); at * page < end; at++) isIn &&= model.has(at);
      t.is(pages.has(start, end), isIn);
    }),
  );
});
