import test from 'ava';
import { AnswerTrial, TRIAL, type Wait } from '../../../src/pxe/tftp/answer-trial.js';

/** Answers that take as long as `time` says, in milliseconds; the ways of waiting for them, each once for its run. */
function waitsWith(answers: number, time: (wait: Wait, number: number) => number): [Wait, number][] {
  const trial = new AnswerTrial();
  const runs: [Wait, number][] = [];
  let now = 0;
  trial.answered(now);
  for (let number = 0; number < answers; number += 1) {
    const { wait } = trial;
    now += time(wait, number);
    trial.answered(now);
    const last = runs.at(-1);
    if (last?.[0] === wait) last[1] += 1;
    else runs.push([wait, 1]);
  }
  return runs;
}

const { answers, lasting } = TRIAL;
const round = 2 * answers + lasting;

test('both ways are tried, and polling goes on where answers come sooner', (t) => {
  t.deepEqual(
    waitsWith(2 * round, (wait) => (wait === 'poll' ? 0.03 : 0.1)),
    [
      ['sleep', answers],
      ['poll', answers + lasting],
      ['sleep', answers],
      ['poll', answers + lasting],
    ],
  );
});

for (const polled of [0.2, 0.1, 0.09]) {
  test(`a wait of ${polled} instead of 0.1 ms is not worth a processor`, (t) => {
    t.deepEqual(
      waitsWith(round, (wait) => (wait === 'poll' ? polled : 0.1)),
      [
        ['sleep', answers],
        ['poll', answers],
        ['sleep', lasting],
      ],
    );
  });
}

test('what comes between a few answers does not count', (t) => {
  const runs = waitsWith(round, (wait, number) => (number % 10 === 9 ? 50 : wait === 'poll' ? 0.03 : 0.1));
  t.deepEqual(runs, [
    ['sleep', answers],
    ['poll', answers + lasting],
  ]);
});

test('a client that becomes another one is noticed at the next trial', (t) => {
  const runs = waitsWith(2 * round, (wait, number) => (wait === 'poll' && number < round ? 0.03 : 0.1));
  t.deepEqual(runs.slice(2), [
    ['sleep', answers],
    ['poll', answers],
    ['sleep', lasting],
  ]);
});
