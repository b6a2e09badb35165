import test from 'ava';
import fc from 'fast-check';
import { inNameOrder } from '../../src/node/name-order.js';

for (const [names, expected] of [
  [
    ['n10', 'n2', 'n1'],
    ['n1', 'n2', 'n10'],
  ],
  [
    ['rack10-n1', 'rack2-n10', 'rack2-n9'],
    ['rack2-n9', 'rack2-n10', 'rack10-n1'],
  ],
  [
    ['n010', 'n09', 'n10'],
    ['n09', 'n010', 'n10'],
  ],
  [
    ['x', 'login', 'n1'],
    ['login', 'n1', 'x'],
  ],
  [[], []],
] as const) {
  test(`${names.join(' ')} → ${expected.join(' ')}`, (t) => {
    t.deepEqual(
      inNameOrder(names, (name) => name),
      expected,
    );
  });
}

test('the order is the same however the names came, and none is lost', (t) => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,2}[0-9]{1,3}(-[a-z][0-9]{1,2})?$/), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(names, fc.infiniteStream(fc.nat()), (list, keys) => {
      const shuffled = list.map((name) => ({ name, key: Number(keys.next().value) }));
      const sorted = inNameOrder(list, (name) => name);
      t.deepEqual(
        inNameOrder(
          shuffled.sort((a, b) => a.key - b.key).map(({ name }) => name),
          (name) => name,
        ),
        sorted,
      );
      t.deepEqual([...sorted].sort(), [...list].sort());
    }),
  );
});
