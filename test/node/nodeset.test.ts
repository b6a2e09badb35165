import test from 'ava';
import { describeAssignment, planNodeset, summarizePlan } from '../../src/node/nodeset.js';
import { parseTarget, type ResolvedTarget } from '../../src/node/target.js';
import type { AssignmentRecord, NodeRecord } from '../../src/store/records.js';

const node = (name: string): NodeRecord => ({
  name,
  macs: [],
  ip: null,
  uuid: null,
  serial: null,
  groups: [],
  attributes: {},
});
const d12: ResolvedTarget = { kind: 'osimage', osimage: 'd12', generation: null, entry: null };
const installing = (name: string, since: number): AssignmentRecord => ({
  node: name,
  state: 'osimage',
  osimage: 'd12',
  generation: null,
  entry: null,
  since,
});

for (const [text, target] of [
  ['boot', { kind: 'boot' }],
  ['offline', { kind: 'offline' }],
  ['stat', { kind: 'stat' }],
  ['osimage=d12', { kind: 'osimage', osimage: 'd12', generation: null, entry: null }],
  ['osimage=d12@3', { kind: 'osimage', osimage: 'd12', generation: '3', entry: null }],
  ['osimage=d12@1a2b3c:rescue', { kind: 'osimage', osimage: 'd12', generation: '1a2b3c', entry: 'rescue' }],
  ['osimage=d12:install', { kind: 'osimage', osimage: 'd12', generation: null, entry: 'install' }],
] as const) {
  test(`target ${text}`, (t) => {
    t.deepEqual(parseTarget(text), target);
  });
}
for (const [text, message] of [
  ['bot', /did you mean 'boot'/],
  ['reset', /cannot set a node to 'reset'/],
  ['osimage=', /write osimage=NAME/],
  ['osimage=../x', /write osimage=NAME/],
  ['osimage=a@', /write osimage=NAME/],
  ['osimage=a:B C', /write osimage=NAME/],
] as const) {
  test(`target ${text} is refused`, (t) => {
    t.throws(() => parseTarget(text), { message, name: 'NodeError' });
  });
}

test('every node is set, and says from what to what', (t) => {
  const current = new Map([['n2', { ...installing('n2', 5), state: 'offline' as const }]]);
  const plan = planNodeset([node('n1'), node('n2'), node('n3')], d12, current, 100);
  t.deepEqual(
    plan.assignments.map((a) => [a.node, a.state, a.osimage, a.since]),
    [
      ['n1', 'osimage', 'd12', 100],
      ['n2', 'osimage', 'd12', 100],
      ['n3', 'osimage', 'd12', 100],
    ],
  );
  t.deepEqual(summarizePlan(plan), ['n[1,3]: boot -> osimage d12', 'n2: offline -> osimage d12']);
});

test('setting a node to what it is set to leaves the running install its assignment', (t) => {
  const plan = planNodeset([node('n1')], d12, new Map([['n1', installing('n1', 5)]]), 100);
  t.like(plan, { assignments: [], changes: [], unchanged: ['n1'], refused: [], attributes: [] });
  t.deepEqual(summarizePlan(plan), ['n1: unchanged']);
});

test('another generation or entry is a change, and is never of the same moment', (t) => {
  const current = new Map([['n1', installing('n1', 100)]]);
  for (const target of [
    { ...d12, generation: 'a'.repeat(64) },
    { ...d12, entry: 'rescue' },
  ]) {
    const [next] = planNodeset([node('n1')], target, current, 100).assignments;
    t.is(next?.since, 101);
  }
});

test('boot and offline remember the last osimage', (t) => {
  for (const kind of ['boot', 'offline'] as const) {
    const [next] = planNodeset([node('n1')], { kind }, new Map([['n1', installing('n1', 5)]]), 9).assignments;
    t.deepEqual(next, { ...installing('n1', 9), state: kind });
  }
});

test('an assignment reads as nodeset stat prints it', (t) => {
  t.is(describeAssignment(undefined), 'boot');
  t.is(
    describeAssignment({ ...installing('n', 1), generation: 'abcdef0123456789', entry: 'x' }),
    'osimage d12@abcdef012345:x',
  );
  t.is(describeAssignment({ ...installing('n', 1), state: 'boot' }), 'boot');
});
