import test from 'ava';
import fc from 'fast-check';
import { deriveStatus, parseStage, stages } from '../../src/node/stages.js';
import type { AssignmentRecord, EventRecord } from '../../src/store/records.js';

const assigned: AssignmentRecord = {
  node: 'n1',
  state: 'osimage',
  osimage: 'd12',
  generation: null,
  entry: null,
  since: 1000,
};

/** Events 10 ms apart after the assignment, from `stage` or `stage:bytes`. */
function happened(...texts: string[]): EventRecord[] {
  return texts.map((text, at) => {
    const [stage = '', bytes] = text.split(':');
    return {
      id: at + 1,
      at: 1000 + at * 10,
      node: 'n1',
      stage,
      detail: `${stage} ${at}`,
      bytes: bytes === undefined ? null : Number(bytes),
      ms: null,
      generation: stage === 'script' ? 'g1' : null,
      client: null,
    };
  });
}

const rows: readonly (readonly [string[], string | null, number | null, number])[] = [
  [[], 'nodeset', 0, 0],
  [['nodeset'], 'nodeset', 0, 0],
  [['nodeset', 'dhcp'], 'dhcp', 0.05, 0],
  [['nodeset', 'dhcp', 'loader:70000', 'dhcp', 'script'], 'script', 0.15, 70000],
  [['loader:1', 'script', 'kernel:10', 'initrd:20'], 'initrd', 0.4, 31],
  // The installer's own DHCP, and its downloads while it installs, do not turn the clock back.
  [['script', 'kernel:1', 'initrd:1', 'dhcp'], 'initrd', 0.4, 2],
  [['script', 'installing', 'tree:5', 'answer:1'], 'installing', 0.7, 6],
  [['script', 'installing', 'partitioning'], 'partitioning', 0.7, 0],
  [['script', 'partitioning', 'packages'], 'packages', 0.7, 0],
  [['script', 'installing', 'failed'], 'failed', 0.7, 0],
  [['script', 'installing', 'installed'], 'installed', 1, 0],
  // A second boot begins again, with its own count of bytes.
  [['script', 'kernel:9', 'script', 'kernel:5'], 'kernel', 0.25, 5],
  [['script', 'failed', 'loader:3'], 'loader', 0.1, 3],
];
for (const [events, stage, progress, bytes] of rows) {
  test(`after ${events.join(' ') || 'nothing'}: ${stage}`, (t) => {
    const status = deriveStatus({ name: 'n1' }, assigned, happened(...events));
    t.is(status.stage, stage);
    t.is(status.progress, progress);
    t.is(status.bytes, bytes);
  });
}

test('what happened before the assignment is forgotten', (t) => {
  const status = deriveStatus({ name: 'n1' }, { ...assigned, since: 5000 }, happened('script', 'installed'));
  t.is(status.stage, 'nodeset');
});

test('an installed node that boots from its disk stays installed until it is seen again', (t) => {
  const local: AssignmentRecord = { ...assigned, state: 'boot', since: 1025 };
  t.like(deriveStatus({ name: 'n1' }, local, happened('script', 'installing', 'installed')), {
    state: 'boot',
    stage: 'installed',
    progress: 1,
    osimage: 'd12',
    generation: 'g1',
  });
  t.like(deriveStatus({ name: 'n1' }, undefined, []), {
    state: 'boot',
    stage: null,
    progress: null,
    osimage: null,
  });
});

test('the next boots from the disk leave an installed node installed', (t) => {
  const local: AssignmentRecord = { ...assigned, state: 'boot', since: 1025 };
  const events = ['script', 'installing', 'installed', 'dhcp', 'loader:7', 'local', 'local', 'dhcp'];
  t.like(deriveStatus({ name: 'n1' }, local, happened(...events)), {
    stage: 'installed',
    progress: 1,
    detail: 'local 6',
    bytes: 7,
  });
  t.like(deriveStatus({ name: 'n1' }, undefined, happened('loader', 'local')), {
    stage: 'local',
    progress: null,
  });
  t.like(deriveStatus({ name: 'n1' }, local, happened('installed', 'nodeset', 'local')), { stage: 'local' });
  t.like(deriveStatus({ name: 'n1' }, assigned, happened('script', 'kernel', 'local')), { stage: 'local' });
});

test('the order of the rows does not matter', (t) => {
  const names = stages.map((stage) => stage.name);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names, 'mine'), { maxLength: 12 }), (list) => {
      const events = happened(...list);
      t.deepEqual(
        deriveStatus({ name: 'n1' }, assigned, events),
        deriveStatus({ name: 'n1' }, assigned, events.toReversed()),
      );
    }),
  );
});

for (const text of ['installing', 'installed', 'failed', 'late-command', '1st']) {
  test(`a node may report ${text}`, (t) => {
    t.is(parseStage(text), text);
  });
}
for (const text of ['', 'nodeset', 'kernel', 'local', 'tree', 'UPPER', 'a b', 'x'.repeat(33), '-x', 'a\n']) {
  test(`a node may not report ${JSON.stringify(text)}`, (t) => {
    t.throws(() => parseStage(text), { name: 'NodeError', message: /stage/ });
  });
}
