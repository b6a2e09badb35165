import test from 'ava';
import fc from 'fast-check';
import { foldNames } from '../../src/node/fold.js';
import { readCompatNoderange } from '../../src/node/noderange.js';

const rows: readonly (readonly [readonly string[], string])[] = [
  [[], ''],
  [['n1'], 'n1'],
  [['n1', 'n2', 'n3', 'n4'], 'n[1-4]'],
  [['n10', 'n9', 'n2'], 'n[2,9-10]'],
  [['n08', 'n09', 'n10'], 'n[08-10]'],
  [['n8', 'n08'], 'n[8,08]'],
  [['r1n1', 'r1n2', 'r2n1', 'r2n2'], 'r[1-2]n[1-2]'],
  [['r1n01', 'r1n02', 'r2n01', 'r3n01'], 'r1n[01-02],r[2-3]n01'],
  [['1u1', '1u2', '100'], '100,1u[1-2]'],
  [['n00000000000000001', 'n00000000000000002'], 'n00000000000000001,n00000000000000002'],
  [['login', 'r1u1.cl.org', 'r1u2.cl.org'], 'login,r1u[1-2].cl.org'],
];
for (const [names, folded] of rows) {
  test(`folds ${names.join(' ')}`, (t) => {
    t.is(foldNames(names), folded);
  });
}

test('a folded list expands to the same names', (t) => {
  const name = fc
    .tuple(
      fc.constantFrom('n', 'rack1n', 'a-b-', 'x'),
      fc.stringMatching(/^[0-9]{1,3}$/),
      fc.constantFrom('', '-ib', '.cl.org', 'n1', 'n2', 'u01x3'),
    )
    .map((parts) => parts.join(''));
  const nothing = { nodes: [], has: () => false, group: () => undefined };
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 40 }), (names) => {
      const { nodes } = readCompatNoderange(foldNames(names), nothing, { verify: false });
      t.deepEqual([...nodes], [...names].sort());
    }),
  );
});

test('ten thousand nodes fold to one range, and it expands to them', (t) => {
  const names = Array.from(
    { length: 10_000 },
    (_, n) => `r${Math.floor(n / 100)}n${String(n % 100).padStart(2, '0')}`,
  );
  t.is(foldNames(names), 'r[0-99]n[00-99]');
  const nothing = { nodes: [], has: () => false, group: () => undefined };
  t.deepEqual(
    [...readCompatNoderange(foldNames(names), nothing, { verify: false }).nodes],
    [...names].sort(),
  );
});
