import test from 'ava';
import fc from 'fast-check';
import { parseNode } from '../../../src/node/nodes.js';
import { PowerError } from '../../../src/node/power/errors.js';
import { forEachNode } from '../../../src/node/power/rack.js';

const nodesOf = (count: number) =>
  Array.from({ length: count }, (_, at) =>
    parseNode({ name: `n${at}`, macs: [`5254000000${at.toString(16).padStart(2, '0')}`] }),
  );

test('never more at one time than allowed, every node once, results in their order', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 40, maxLength: 40 }),
      async (count, parallel, turns) => {
        let now = 0;
        let most = 0;
        const told: string[] = [];
        const results = await forEachNode(
          nodesOf(count),
          { parallel, stagger: 0, timeout: 60 },
          async ({ name }) => {
            most = Math.max(most, ++now);
            const at = Number(name.slice(1));
            for (let turn = 0; turn < (turns[at] ?? 0); turn++) await new Promise(setImmediate);
            now--;
            if (at % 3 === 0) throw new PowerError('UNREACHABLE', `${name} is gone`);
            return 'on';
          },
          ({ node }) => told.push(node),
        );
        t.true(most <= parallel);
        t.deepEqual(
          results,
          nodesOf(count).map(({ name: node }, at) =>
            at % 3 === 0
              ? { node, ok: false, code: 'UNREACHABLE', error: `${node} is gone` }
              : { node, ok: true, result: 'on' },
          ),
        );
        t.deepEqual(
          [...told].sort(),
          nodesOf(count)
            .map(({ name }) => name)
            .sort(),
        );
      },
    ),
    { numRuns: 50 },
  );
});

test('starts are at least a stagger apart, however fast the machines are', async (t) => {
  const starts: number[] = [];
  const begin = performance.now();
  await forEachNode(
    nodesOf(4),
    { parallel: 4, stagger: 0.05, timeout: 60 },
    async () => {
      starts.push(performance.now());
      return 'on';
    },
    () => undefined,
  );
  // A timer may fire a millisecond early; how late it fires says nothing.
  starts.forEach((start, at) => t.true(start - begin >= 50 * at - 2, `${at}: ${start - begin} ms`));
});

test('what is no failure of a node ends the whole', async (t) => {
  const broken = async (): Promise<string> => {
    throw new TypeError('a mistake of ours');
  };
  await t.throwsAsync(
    forEachNode(nodesOf(2), { parallel: 1, stagger: 0, timeout: 60 }, broken, () => undefined),
    {
      instanceOf: TypeError,
    },
  );
});

test('each node has its own time', async (t) => {
  const results = await forEachNode(
    nodesOf(2),
    { parallel: 1, stagger: 0, timeout: 0.05 },
    ({ name }, signal) =>
      name === 'n1'
        ? Promise.resolve(signal.aborted ? 'late' : 'on')
        : new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(new PowerError('TIMED_OUT', 'late'))),
          ),
    () => undefined,
  );
  t.like(results, [
    { ok: false, code: 'TIMED_OUT' },
    { ok: true, result: 'on' },
  ]);
});

test('a command that is stopped ends what it has begun and begins nothing more', async (t) => {
  const stop = new AbortController();
  const begun: string[] = [];
  const results = await forEachNode(
    nodesOf(4),
    { parallel: 2, stagger: 0, timeout: 600 },
    ({ name }, signal) => {
      begun.push(name);
      if (begun.length === 2) setImmediate(() => stop.abort());
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(new PowerError('TIMED_OUT', 'late'))),
      );
    },
    () => undefined,
    stop.signal,
  );
  t.deepEqual(begun, ['n0', 'n1']);
  t.deepEqual(
    results.map((result) => (result.ok ? '' : `${result.code} ${result.error.split(':')[0] ?? ''}`)),
    [
      'STOPPED was begun when the command was stopped; ask it with',
      'STOPPED was begun when the command was stopped; ask it with',
      'STOPPED was not begun',
      'STOPPED was not begun',
    ],
  );
});
