import test from 'ava';
import fc from 'fast-check';
import { TIMES, Transfer, type TransferAction } from '../../../src/pxe/tftp/transfer.js';
import { type Network, simulate } from './simulation.js';

/** Actions in a few words: `1-4`, `oack`, `complete`. */
function summaryOf(actions: readonly TransferAction[]): string {
  return actions
    .map((action) => {
      if (action.kind === 'data')
        return action.first === action.last ? `${action.first}` : `${action.first}-${action.last}`;
      return action.kind === 'end' ? action.outcome : action.kind;
    })
    .join(' ');
}

/** Steps such as `ack 3 @10`, `ready 8 end @0`, `tick @50`, `error 8 @1`, and what each makes the transfer do. */
type Step = readonly [step: string, expected: string];

function play(
  t: { is(actual: unknown, expected: unknown, message?: string): unknown },
  transfer: Transfer,
  steps: readonly Step[],
): void {
  for (const [step, expected] of steps) {
    const [words = '', at = '0'] = step.split(' @');
    const [verb, value = '', end] = words.split(' ');
    const now = Number(at);
    const actions =
      verb === 'start'
        ? transfer.start(now)
        : verb === 'ack'
          ? transfer.ack(Number(value), now)
          : verb === 'ready'
            ? transfer.ready(Number(value), end === 'end', now)
            : verb === 'error'
              ? transfer.error(Number(value), 'gone')
              : transfer.tick(now);
    t.is(summaryOf(actions), expected, step);
  }
}

const tables: readonly [
  name: string,
  windowsize: number,
  oack: boolean,
  timeout: number | undefined,
  steps: readonly Step[],
][] = [
  [
    'without options, one block at a time',
    1,
    false,
    undefined,
    [
      ['start @0', ''],
      ['ready 3 end @1', '1'],
      ['ack 1 @2', '2'],
      ['ack 2 @3', '3'],
      ['ack 3 @4', 'complete'],
      ['ack 3 @5', ''],
    ],
  ],
  [
    'options first, then windows',
    4,
    true,
    undefined,
    [
      ['start @0', 'oack'],
      ['ready 6 end @0', ''],
      ['ack 0 @1', '1-4'],
      ['ack 4 @2', '5-6'],
      ['ack 6 @3', 'complete'],
    ],
  ],
  [
    'a size probe',
    4,
    true,
    undefined,
    [
      ['start @0', 'oack'],
      ['error 8 @1', 'probe'],
      ['ack 0 @2', ''],
      ['tick @9999', ''],
    ],
  ],
  [
    'an abort',
    1,
    false,
    undefined,
    [
      ['ready 3 end @0', '1'],
      ['error 3 @1', 'aborted'],
    ],
  ],
  [
    'a duplicate acknowledgement is not answered when blocks go one at a time',
    1,
    false,
    undefined,
    [
      ['ready 9 end @0', '1'],
      ['ack 1 @1', '2'],
      ['ack 1 @2', ''],
      ['ack 1 @40', ''],
      ['ack 2 @41', '3'],
    ],
  ],
  [
    'a lost block inside a window: back to it at once',
    4,
    false,
    undefined,
    [
      ['ready 99 @0', '1-4'],
      ['ack 2 @1', '3-6'],
      ['ack 2 @2', ''],
      ['ack 6 @3', '7-10'],
    ],
  ],
  [
    'a lost first block of a window: back to it at once, and the echoes are left alone',
    4,
    false,
    undefined,
    [
      ['ready 99 @0', '1-4'],
      ['ack 4 @1', '5-8'],
      ['ack 4 @2', '5-8'],
      ['ack 4 @3', ''],
      ['ack 8 @4', '9-12'],
      ['ack 8 @5', '9-12'],
      ['ack 8 @6', ''],
      ['ack 8 @30', '9-12'],
    ],
  ],
  [
    'a block lost again while it is sent again: once more as soon as it cannot be on its way, long before the timer',
    8,
    false,
    undefined,
    [
      ['ready 99 @0', '1-8'],
      ['ack 8 @2', '9-16'],
      ['ack 9 @4', '10-17'],
      ['ack 13 @6', '18-21'],
      ['tick @11', ''],
      ['tick @12', '14-21'],
      ['ack 21 @14', '22-29'],
      ['ack 21 @15', ''],
      ['ack 29 @16', '30-37'],
      ['tick @40', ''],
      ['tick @66', '30-37'],
    ],
  ],
  [
    'a lost block while the file is waited for is sent again, and the window goes on when the file comes',
    8,
    false,
    undefined,
    [
      ['ready 16 @0', '1-8'],
      ['ack 8 @2', '9-16'],
      ['ack 9 @4', '10-16'],
      ['ack 13 @6', ''],
      ['ready 17 @7', '17'],
      ['tick @11', ''],
      ['tick @12', '14-17'],
      ['ready 24 @50', '18-21'],
      ['ack 21 @52', '22-24'],
    ],
  ],
  [
    'acknowledgements of what was never sent, or long ago, are ignored',
    4,
    false,
    undefined,
    [
      ['ready 99 @0', '1-4'],
      ['ack 5 @1', ''],
      ['ack 65535 @1', ''],
      ['ack 30000 @1', ''],
      ['ack 4 @2', '5-8'],
      ['ack 3 @3', ''],
    ],
  ],
  [
    'the window waits for the file, and goes on when it comes',
    4,
    false,
    undefined,
    [
      ['ready 2 @0', '1-2'],
      ['tick @2000', ''],
      ['ready 9 @2001', '3-4'],
      ['ack 4 @2002', '5-8'],
    ],
  ],
  [
    'a file that stops, and a client that asks for more of it',
    4,
    false,
    undefined,
    [
      ['ready 2 @0', '1-2'],
      ['ready 3 @20000', '3'],
      ['ack 2 @40000', '3'],
      ['ack 2 @45000', '3'],
      ['tick @49999', ''],
      ['tick @50000', 'failed'],
    ],
  ],
  [
    'a file that never comes',
    4,
    false,
    undefined,
    [
      ['start @0', ''],
      ['tick @29999', ''],
      [`tick @${TIMES.read}`, 'failed'],
    ],
  ],
  [
    'a client that never answers: 1, 2 and 4 seconds, then it is over',
    1,
    true,
    undefined,
    [
      ['start @0', 'oack'],
      ['tick @999', ''],
      ['tick @1000', 'oack'],
      ['tick @3000', 'oack'],
      ['tick @7000', 'oack'],
      ['tick @11000', 'timeout'],
    ],
  ],
  [
    'an agreed timeout is the most that is waited',
    1,
    false,
    3000,
    [
      ['ready 9 end @0', '1'],
      ['tick @1000', '1'],
      ['tick @2999', ''],
      ['tick @3000', '1'],
      ['tick @5999', ''],
      ['tick @6000', '1'],
      ['tick @9000', '1'],
      ['tick @12000', 'timeout'],
    ],
  ],
  [
    'the time between retransmissions follows the round trip, and doubles',
    1,
    false,
    undefined,
    [
      ['ready 9 end @0', '1'],
      ['ack 1 @20', '2'],
      ['tick @79', ''],
      ['tick @80', '2'],
      ['tick @199', ''],
      ['tick @200', '2'],
      ['ack 2 @201', '3'],
    ],
  ],
  [
    'a client that keeps asking for the same for an hour',
    1,
    false,
    undefined,
    [
      ['ready 9 end @0', '1'],
      ['ack 1 @1', '2'],
      ['ack 1 @3599999', ''],
      ['tick @3599999', '2'],
      ['tick @3600100', 'timeout'],
    ],
  ],
  [
    'a client that keeps asking for the same window for an hour',
    4,
    false,
    undefined,
    [
      ['ready 99 @0', '1-4'],
      ['ack 4 @2', '5-8'],
      ['ack 4 @3599999', '5-8'],
      ['ack 4 @3600000', 'timeout'],
    ],
  ],
];
for (const [name, windowsize, oack, timeout, steps] of tables) {
  test(name, (t) => play(t, new Transfer({ windowsize, timeout, oack }, 0), steps));
}

const quiet: Network = { seed: 1, loss: 0, duplication: 0, delay: 1, jitter: 0 };

test('on a good network every block is sent once', (t) => {
  for (const windowsize of [1, 4, 16, 64]) {
    const result = simulate(1000, quiet, { windowsize, gaps: 'each', patience: 1000 });
    t.like(result, { outcome: 'complete', received: 1000, sent: 1000, resent: 0 });
  }
});

test('block numbers wrap', (t) => {
  const result = simulate(140_000, quiet, { windowsize: 64, gaps: 'once', patience: 1000 });
  t.like(result, { outcome: 'complete', received: 140_000, resent: 0 });
});

test('a network that doubles every packet does not make the server double its blocks', (t) => {
  const doubled = { ...quiet, duplication: 1 };
  t.like(simulate(500, doubled, { windowsize: 1, gaps: 'each', patience: 1000 }), {
    outcome: 'complete',
    sent: 500,
  });
  for (const windowsize of [4, 16, 64]) {
    const result = simulate(2000, doubled, { windowsize, gaps: 'each', patience: 1000 });
    t.is(result.outcome, 'complete');
    t.true(result.sent < 4000, `window ${windowsize}: ${result.sent} packets for 2000 blocks`);
  }
});

test('whatever is lost, doubled and reordered, all blocks arrive', (t) => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.integer({ min: 0, max: 1e9 }),
        loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
        duplication: fc.double({ min: 0, max: 0.3, noNaN: true }),
        delay: fc.constantFrom(0, 1, 5, 80),
        jitter: fc.constantFrom(0, 1, 30),
      }),
      fc.record({
        windowsize: fc.constantFrom(1, 2, 4, 16, 64),
        gaps: fc.constantFrom('once' as const, 'each' as const),
        patience: fc.constantFrom(500, 1000, 5000),
      }),
      fc.record({ oack: fc.boolean(), readTime: fc.constantFrom(0, 3, 200) }),
      fc.integer({ min: 1, max: 200 }),
      (network, habits, more, total) => {
        const result = simulate(total, network, habits, more);
        // The client has it all; whether its last acknowledgement came through is not the server's to know.
        return result.received === total || result.outcome === 'timeout'
          ? result.outcome !== 'failed'
          : false;
      },
    ),
    { numRuns: 400 },
  );
  t.pass();
});

test('one loss in a hundred costs little', (t) => {
  for (const windowsize of [1, 16]) {
    const network = { seed: 7, loss: 0.01, duplication: 0, delay: 2.5, jitter: 0 };
    const result = simulate(3000, network, { windowsize, gaps: 'each', patience: 1000 });
    t.like(result, { outcome: 'complete', received: 3000 });
    const perfect = (3000 / windowsize) * 5;
    t.true(result.ms < 3 * perfect, `window ${windowsize}: ${result.ms} ms; without loss ${perfect} ms`);
    t.true(
      result.resent < 3000 * 0.01 * (windowsize + 1) * 2,
      `window ${windowsize}: ${result.resent} blocks again`,
    );
  }
});

test('nor on wires that take long for a window, with clients that acknowledge every block they do not expect', (t) => {
  for (const rate of [1.7, 8.5, 85]) {
    for (const windowsize of [4, 16, 64]) {
      for (const gaps of ['each', 'once'] as const) {
        for (let seed = 1; seed <= 10; seed += 1) {
          const network = { seed, loss: 0.01, duplication: 0, delay: 0.1, jitter: 0, rate };
          const result = simulate(1400, network, { windowsize, gaps, patience: 1000 });
          t.like(result, { outcome: 'complete', received: 1400 });
          const what = `${rate} packets/ms, window ${windowsize}, ${gaps}, seed ${seed}`;
          t.true(
            result.sent < 1400 * (1 + windowsize * 0.05),
            `${what}: ${result.sent} packets for 1400 blocks`,
          );
        }
      }
    }
  }
});

test('a client that vanishes costs few packets and half a minute', (t) => {
  for (const windowsize of [1, 16, 64]) {
    const result = simulate(
      100_000,
      quiet,
      { windowsize, gaps: 'once', patience: 1000 },
      { vanishAfter: 500 },
    );
    t.is(result.outcome, 'timeout');
    t.true(result.resent <= 16 * windowsize, `window ${windowsize}: ${result.resent} blocks again`);
    t.true(result.ms < 45_000 + 2 * 500);
  }
});
