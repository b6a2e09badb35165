import test from 'ava';
import { RateLimit } from '../../src/pxe/rate-limit.js';

test('a burst, then the average, for each key alone', (t) => {
  const limit = new RateLimit({ burst: 3, perSecond: 2, keys: 10 });
  t.deepEqual(
    [0, 0, 0, 0].map((at) => limit.take('a', at)),
    [true, true, true, false],
  );
  t.true(limit.take('b', 0));
  t.deepEqual(
    [499, 500, 600].map((at) => limit.take('a', at)),
    [false, true, false],
  );
  t.deepEqual(
    [9000, 9000, 9000, 9000].map((at) => limit.take('a', at)),
    [true, true, true, false],
  );
});

test('a clock that goes back gives nothing', (t) => {
  const limit = new RateLimit({ burst: 1, perSecond: 1, keys: 10 });
  t.true(limit.take('a', 10_000));
  t.false(limit.take('a', 0));
});

test('no more keys are remembered than allowed', (t) => {
  const limit = new RateLimit({ burst: 1, perSecond: 0, keys: 2 });
  t.deepEqual(
    ['a', 'b', 'c', 'c', 'a'].map((key) => limit.take(key, 0)),
    [true, true, true, false, true],
  );
});
