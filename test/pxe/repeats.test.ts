import test from 'ava';
import { Repeats } from '../../src/pxe/repeats.js';

test('a kind is new once a minute', (t) => {
  const repeats = new Repeats();
  t.deepEqual(
    [0, 1, 59_999, 60_000, 60_001].map((now) => repeats.isNew('a', now)),
    [true, false, false, true, false],
  );
  t.true(repeats.isNew('b', 60_001));
});

test('beyond 1024 kinds the oldest is forgotten', (t) => {
  const repeats = new Repeats();
  for (let index = 0; index <= 1024; index += 1) repeats.isNew(`kind ${index}`, index);
  t.false(repeats.isNew('kind 1', 2000));
  t.true(repeats.isNew('kind 0', 2000));
});
