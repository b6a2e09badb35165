import test from 'ava';
import fc from 'fast-check';
import { parseRequestPath } from '../../../src/pxe/http/request-path.js';

const rows: readonly (readonly [string, readonly string[] | undefined])[] = [
  ['/', []],
  ['/a/b', ['a', 'b']],
  ['//a///b/', ['a', 'b']],
  ['/a%2Bb', ['a+b']],
  ['/a+b', ['a+b']],
  ['/.treeinfo', ['.treeinfo']],
  ['/a%20b', ['a b']],
  ['/%C3%BC', ['ü']],
  ['/...', ['...']],
  ['/a\\..\\b', ['a\\..\\b']], // one component: there is no such file
  ['/a/../b', undefined],
  ['/..', undefined],
  ['/./a', undefined],
  ['/%2e%2e/a', undefined],
  ['/%2E./a', undefined],
  ['/a%2f..%2fb', undefined],
  ['/a%2Fb', undefined],
  ['/a%00b', undefined],
  ['/a%0ab', undefined],
  ['/%', undefined],
  ['/%zz', undefined],
  ['/%c0%ae%c0%ae/a', undefined],
  ['/%ff', undefined],
  ['a', undefined],
  ['', undefined],
  ['*', undefined],
  ['http://h/a', undefined],
  [`/${'a'.repeat(4096)}`, undefined],
];
for (const [target, expected] of rows) {
  test(`${JSON.stringify(target).slice(0, 40)}`, (t) => {
    t.deepEqual(parseRequestPath(target)?.segments, expected);
  });
}

test('the query is apart from the path', (t) => {
  const path = parseRequestPath('/boot.ipxe?mac=52:54:00:00:00:01&serial=a+b&x=/../#frag?y');
  t.deepEqual(path?.segments, ['boot.ipxe']);
  t.deepEqual(
    [...(path?.query ?? [])],
    [
      ['mac', '52:54:00:00:00:01'],
      ['serial', 'a b'],
      ['x', '/../'],
    ],
  );
});

test('no target gives a component that could climb out', (t) => {
  const unit = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2f',
    '%5c',
    '\\',
    '%00',
    '%',
    'a',
    '?',
    '#',
    '%25',
    '%c0%af',
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (tail) => {
      const segments = parseRequestPath(`/${tail}`)?.segments ?? [];
      return segments.every(
        (segment) => segment !== '' && segment !== '.' && segment !== '..' && !/[/\0]/.test(segment),
      );
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
