import test from 'ava';
import { POLL_TIME, PollTime } from '../../../src/pxe/tftp/poll-time.js';

/** A clock that is set, and turns of an event loop that are taken. */
function setUp(): { time: PollTime; pass: (ms: number) => void; turn: () => number } {
  let now = 1000;
  let waiting: (() => void)[] = [];
  return {
    time: new PollTime(
      () => now,
      (run) => waiting.push(run),
    ),
    pass: (ms) => (now += ms),
    turn: () => {
      const runs = waiting;
      waiting = [];
      for (const run of runs) run();
      return runs.length;
    },
  };
}

test('a turn has so much polling, however often it begins', (t) => {
  const { time, pass, turn } = setUp();
  t.is(time.begin(), 1000 + POLL_TIME.most);
  pass(POLL_TIME.most / 2);
  time.end();
  t.is(time.begin(), 1000 + POLL_TIME.most);
  pass(POLL_TIME.most / 2);
  time.end();
  t.is(time.begin(), undefined);
  t.is(turn(), 1);
  t.is(time.begin(), 1000 + 2 * POLL_TIME.most);
});

for (const { otherWork, rest } of [
  { otherWork: 2 * POLL_TIME.otherWork, rest: 2 * POLL_TIME.otherWork * POLL_TIME.rest },
  { otherWork: POLL_TIME.longestRest, rest: POLL_TIME.longestRest },
])
  test(`a turn with ${otherWork} ms of other work is followed by a rest of ${rest} ms`, (t) => {
    const { time, pass, turn } = setUp();
    time.begin();
    time.end();
    pass(otherWork);
    turn();
    t.is(time.begin(), undefined);
    pass(rest - 0.001);
    t.is(time.begin(), undefined);
    pass(0.002);
    t.not(time.begin(), undefined);
    t.is(turn(), 1);
  });

test('polling itself is no other work', (t) => {
  const { time, pass, turn } = setUp();
  time.begin();
  pass(POLL_TIME.most);
  time.end();
  pass(POLL_TIME.otherWork / 2);
  turn();
  t.not(time.begin(), undefined);
});
