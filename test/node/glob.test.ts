import test from 'ava';
import { matchesGlob } from '../../src/node/glob.js';

const rows: readonly (readonly [string, string, boolean])[] = [
  ['*.udeb', 'pool/main/a.udeb', true],
  ['*.udeb', 'pool/main/a.deb', false],
  ['pool/*.udeb', 'pool/a.udeb', true],
  ['pool/*.udeb', 'pool/main/a.udeb', false],
  ['**/a_*.udeb', 'pool/main/a_1.udeb', true],
  ['**/a.udeb', 'a.udeb', true],
  ['pool/**', 'pool/x/y', true],
  ['/pool/**', 'pool/x/y', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['v[12]', 'v1', true],
  ['v[12]', 'v3', false],
  ['v[!12]', 'v3', true],
  ['v[!12]', 'v1', false],
  ['a.c', 'abc', false],
  ['a+(b)', 'a+(b)', true],
  ['[', '[', true],
  ['x[]', 'x[]', true],
  ['', '', true],
];
for (const [glob, path, expected] of rows) {
  test(`${glob} ${expected ? 'matches' : 'does not match'} ${path}`, (t) => {
    t.is(matchesGlob(glob, path), expected);
  });
}
