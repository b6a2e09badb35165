import test from 'ava';
import { sha256 } from '../../../src/store/digest.js';
import type { AssignmentRecord, EventRecord, NodeRecord } from '../../../src/store/records.js';
import { putAll, request } from '../temporary-site.js';
import type { OpenTestStore } from './open-test-store.js';

const n1: NodeRecord = {
  name: 'n1',
  macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
  ip: '10.0.0.1',
  uuid: '00000000-0000-0000-0000-000000000001',
  serial: 'S1',
  groups: ['all', 'rack-1'],
  attributes: { 'disk.root': '/dev/vda', note: 'it’s "quoted"' },
};
const n2: NodeRecord = {
  name: 'n2',
  macs: [],
  ip: null,
  uuid: null,
  serial: null,
  groups: [],
  attributes: {},
};

const set: AssignmentRecord = {
  node: 'n1',
  state: 'osimage',
  osimage: 'd12',
  generation: null,
  entry: 'rescue',
  since: 1_700_000_000_123,
};

const event: Omit<EventRecord, 'id'> = {
  at: 1_700_000_000_123,
  node: 'n1',
  stage: 'kernel',
  detail: 'linux',
  bytes: 5_000_000_000,
  ms: 12.5,
  generation: sha256('a'),
  client: '10.0.0.1',
};

/** Facts about nodes, events and tokens that hold in every database. */
export function nodeFacts(open: OpenTestStore): void {
  test('a node is found by everything it is known by', async (t) => {
    const { store } = await open(t);
    await store.nodes.put(n2);
    await store.nodes.put(n1);
    t.deepEqual(await store.nodes.list(), [n1, n2]);
    t.deepEqual(await store.nodes.getMany(['n2', 'n3', 'n1', 'n1']), [n1, n2]);
    t.deepEqual(await store.nodes.get('n1'), n1);
    t.deepEqual(await store.nodes.byMac('52:54:00:00:00:02'), n1);
    t.deepEqual(await store.nodes.byIp('10.0.0.1'), n1);
    t.deepEqual(await store.nodes.byUuid(n1.uuid!), n1);
    t.deepEqual(await store.nodes.bySerial('S1'), n1);
    for (const nobody of [
      await store.nodes.get('n3'),
      await store.nodes.byMac('52:54:00:00:00:03'),
      await store.nodes.byIp('10.0.0.2'),
      await store.nodes.byUuid('none'),
      await store.nodes.bySerial('none'),
    ]) {
      t.is(nobody, undefined);
    }
  });

  test('putting a node again replaces it', async (t) => {
    const { store } = await open(t);
    await store.nodes.put(n1);
    const changed = {
      ...n1,
      macs: ['52:54:00:00:00:02', '52:54:00:00:00:09'],
      ip: null,
      groups: [],
      attributes: {},
    };
    await store.nodes.put(changed);
    t.deepEqual(await store.nodes.get('n1'), changed);
    t.is(await store.nodes.byMac('52:54:00:00:00:01'), undefined);
  });

  test('a MAC or address of another node is a conflict that names it', async (t) => {
    const { store } = await open(t);
    await store.nodes.put(n1);
    await t.throwsAsync(store.nodes.put({ ...n2, macs: ['52:54:00:00:00:02'] }), {
      code: 'NODE_CONFLICT',
      message: /MAC 52:54:00:00:00:02 belongs to node n1/,
    });
    await t.throwsAsync(store.nodes.put({ ...n2, ip: '10.0.0.1' }), {
      code: 'NODE_CONFLICT',
      message: /address 10.0.0.1 belongs to node n1/,
    });
    t.deepEqual(await store.nodes.list(), [n1]);
  });

  test('a UUID or serial that two nodes share finds neither', async (t) => {
    const { store } = await open(t);
    await store.nodes.put(n1);
    await store.nodes.put({ ...n2, uuid: n1.uuid, serial: n1.serial });
    t.is(await store.nodes.byUuid(n1.uuid!), undefined);
    t.is(await store.nodes.bySerial('S1'), undefined);
  });

  test('removing a node removes what it was set to', async (t) => {
    const { store } = await open(t);
    await store.nodes.put(n1);
    await store.nodes.assign([{ ...set, state: 'boot' }]);
    await store.nodes.remove(['n1', 'n3']);
    t.deepEqual(await store.nodes.list(), []);
    t.deepEqual(await store.nodes.assignments(), []);
    await store.nodes.put({ ...n2, macs: n1.macs, ip: n1.ip });
    t.is((await store.nodes.byMac(n1.macs[0]!))?.name, 'n2');
  });

  test('assignments are set all or none', async (t) => {
    const { store } = await open(t);
    const blobs = await putAll(store, ['x']);
    await store.osimages.publish(request(blobs, 'a', null), { create: true });
    await store.nodes.put(n1);
    await store.nodes.put(n2);
    await store.nodes.assign([set, { ...set, node: 'n2', state: 'offline', osimage: null, entry: null }]);
    t.deepEqual(await store.nodes.assignment('n1'), set);
    t.is(await store.nodes.assignment('n3'), undefined);
    t.deepEqual(
      (await store.nodes.assignments()).map(({ node, state }) => [node, state]),
      [
        ['n1', 'osimage'],
        ['n2', 'offline'],
      ],
    );
    t.is((await store.nodes.assignments(['n2', 'n2', 'n3'])).length, 1);
    for (const [wrong, code] of [
      [{ ...set, node: 'n3' }, 'NO_SUCH_NODE'],
      [{ ...set, node: 'n2', osimage: 'd13' }, 'NO_SUCH_OSIMAGE'],
      [{ ...set, node: 'n2', osimage: null }, 'NO_SUCH_OSIMAGE'],
      [{ ...set, node: 'n2', generation: sha256('z') }, 'NO_SUCH_GENERATION'],
    ] as const) {
      const both: AssignmentRecord[] = [{ ...set, state: 'boot' }, wrong];
      await t.throwsAsync(store.nodes.assign(both), { code });
      t.is((await store.nodes.assignment('n1'))?.state, 'osimage', code);
    }
  });

  test('assignments come with their history, or not at all', async (t) => {
    const { store } = await open(t);
    await store.osimages.publish(request(await putAll(store, ['x']), 'a', null), { create: true });
    await store.nodes.put(n1);
    const broken = { ...event, stage: null as unknown as string };
    await t.throwsAsync(store.nodes.assign([set], [event, broken]));
    t.is(await store.nodes.assignment('n1'), undefined);
    t.is(await store.events.lastId(), 0);
    await t.throwsAsync(store.nodes.assign([set, { ...set, node: 'n3' }], [event]), { code: 'NO_SUCH_NODE' });
    t.deepEqual(await store.events.ofNode('n1', 9), []);
    await store.nodes.assign([set], [event]);
    t.deepEqual(await store.nodes.assignment('n1'), set);
    t.like(await store.events.ofNode('n1', 9), [event]);
    t.like(await store.events.latest('n1', 'kernel'), event);
    t.is(await store.events.latest('n1', 'script'), undefined);
  });

  test('many nodes are put all or none, and may swap what they are known by', async (t) => {
    const { store } = await open(t);
    const other = { ...n2, macs: ['52:54:00:00:00:03'], ip: '10.0.0.2' };
    await store.nodes.putAll([n1, other]);
    const swapped = [
      { ...n1, macs: other.macs, ip: other.ip },
      { ...other, macs: n1.macs, ip: n1.ip },
    ];
    await store.nodes.putAll(swapped);
    t.deepEqual(await store.nodes.list(), swapped);
    for (const [wrong, what] of [
      [
        { ...n2, name: 'n3', macs: ['52:54:00:00:00:03'] },
        /node n3: MAC 52:54:00:00:00:03 belongs to node n1/,
      ],
      [{ ...n2, name: 'n3', ip: '10.0.0.1' }, /node n3: address 10\.0\.0\.1 belongs to node n2/],
    ] as const) {
      await t.throwsAsync(store.nodes.putAll([{ ...n2, name: 'n4' }, wrong]), { message: what });
    }
    const twice = { ...n2, macs: ['52:54:00:00:00:09'] };
    await t.throwsAsync(
      store.nodes.putAll([
        { ...twice, name: 'n5' },
        { ...twice, name: 'n6' },
      ]),
      {
        message: /node n6: MAC 52:54:00:00:00:09 belongs to node n5/,
      },
    );
    t.deepEqual(await store.nodes.list(), swapped);
  });

  test('groups are defined, defined again, and removed', async (t) => {
    const { store } = await open(t);
    await store.nodes.putAll(
      [],
      [
        { name: 'spare', where: null },
        { name: 'arm', where: ['arch==aarch64'] },
      ],
    );
    await store.nodes.putAll([n1], [{ name: 'arm', where: ['arch=~^a', 'rack==1'] }]);
    t.deepEqual(await store.nodes.groups(), [
      { name: 'arm', where: ['arch=~^a', 'rack==1'] },
      { name: 'spare', where: null },
    ]);
    await store.nodes.removeGroups(['arm', 'nobody']);
    t.deepEqual(await store.nodes.groups(), [{ name: 'spare', where: null }]);
  });

  test('an assignment keeps its errand and its chain; attributes change with it', async (t) => {
    const { store } = await open(t);
    await store.nodes.put(n1);
    const assignment: AssignmentRecord = {
      ...set,
      state: 'boot',
      destiny: 'runcmd=bmcsetup',
      chain: [
        { state: 'osimage', osimage: 'd12', entry: 'rescue' },
        { state: 'boot', osimage: null, entry: null },
      ],
    };
    await store.nodes.assign(
      [assignment],
      [],
      [
        { node: 'n1', key: 'provmethod', value: 'd12' },
        { node: 'n1', key: 'note', value: '' },
        { node: 'gone', key: 'x', value: 'y' },
      ],
    );
    t.deepEqual(await store.nodes.assignment('n1'), assignment);
    t.deepEqual((await store.nodes.get('n1'))?.attributes, { 'disk.root': '/dev/vda', provmethod: 'd12' });
    const { destiny: _destiny, chain: _chain, ...plain } = assignment;
    await store.nodes.assign([plain]);
    t.deepEqual(await store.nodes.assignment('n1'), plain);
  });

  test('an assignment is ended only by the install that it began', async (t) => {
    const { store } = await open(t);
    await store.osimages.publish(request(await putAll(store, ['x']), 'a', null), { create: true });
    await store.nodes.put(n1);
    await store.nodes.assign([set]);
    const done: AssignmentRecord = { ...set, state: 'boot', since: set.since + 5 };
    t.false(await store.nodes.assignIf('n1', set.since - 1, done));
    t.false(await store.nodes.assignIf('n3', set.since, done));
    t.true(await store.nodes.assignIf('n1', set.since, done));
    t.false(await store.nodes.assignIf('n1', set.since, done));
    t.false(await store.nodes.assignIf('n1', done.since, set));
    t.deepEqual(await store.nodes.assignment('n1'), done);
  });

  test('events come in the order they were appended', async (t) => {
    const { store } = await open(t);
    t.is(await store.events.lastId(), 0);
    const first = await store.events.append(event);
    t.deepEqual(first, { ...event, id: first.id });
    const nulls = { ...event, node: null, bytes: null, ms: null, generation: null, client: null };
    const second = await store.events.append(nulls);
    const rest = await Promise.all(Array.from({ length: 20 }, () => store.events.append(event)));
    const ids = [first, second, ...rest].map(({ id }) => id);
    t.deepEqual(
      (await store.events.since(0, 100)).map(({ id }) => id),
      ids.toSorted((x, y) => x - y),
    );
    t.deepEqual(await store.events.since(first.id, 1), [{ ...nulls, id: second.id }]);
    t.deepEqual(
      (await store.events.ofNode('n1', 2)).map(({ id }) => id),
      ids.toSorted((x, y) => y - x).slice(0, 2),
    );
    t.is((await store.events.ofNode('n1', 100)).length, 21);
    t.is(await store.events.lastId(), Math.max(...ids));
  });

  test('a token works once, for its node and client, until it expires', async (t) => {
    const { store } = await open(t, { now: () => 1000 });
    const issue = { node: 'n1', generation: sha256('a'), client: '10.0.0.1', expiresAt: 2000 };
    const token = await store.tokens.issue(issue);
    t.regex(token, /^[A-Za-z0-9_-]{32}$/);
    t.false(await store.tokens.consume(token, 'n2', '10.0.0.1', 1500));
    t.false(await store.tokens.consume(token, 'n1', '10.0.0.2', 1500));
    t.false(await store.tokens.consume(token, 'n1', '10.0.0.1', 2000));
    t.false(await store.tokens.consume(`${token}x`, 'n1', '10.0.0.1', 1500));
    const uses = await Promise.all(
      Array.from({ length: 8 }, () => store.tokens.consume(token, 'n1', '10.0.0.1', 1500)),
    );
    t.is(uses.filter(Boolean).length, 1);
    await store.tokens.restore(token);
    t.true(await store.tokens.consume(token, 'n1', '10.0.0.1', 1500));
    t.false(await store.tokens.consume(token, 'n1', '10.0.0.1', 1500));
  });

  test('a renewed token works once more each time, beside the issued one', async (t) => {
    const { store } = await open(t, { now: () => 1000 });
    const of = { node: 'n1', generation: sha256('a'), client: '10.0.0.1', expiresAt: 2000 };
    const issued = await store.tokens.issue(of);
    for (let round = 0; round < 2; round++) {
      await store.tokens.renew('mine', of);
      t.true(await store.tokens.consume('mine', 'n1', '10.0.0.1', 1500));
      t.false(await store.tokens.consume('mine', 'n1', '10.0.0.1', 1500));
    }
    t.true(await store.tokens.consume(issued, 'n1', '10.0.0.1', 1500));
  });

  test('a new token ends the node’s earlier ones, and no other node’s', async (t) => {
    const { store } = await open(t, { now: () => 1000 });
    const issue = { node: 'n1', generation: sha256('a'), client: '10.0.0.1', expiresAt: 2000 };
    const first = await store.tokens.issue(issue);
    const other = await store.tokens.issue({ ...issue, node: 'n2' });
    const second = await store.tokens.issue(issue);
    t.not(first, second);
    t.false(await store.tokens.consume(first, 'n1', '10.0.0.1', 1500));
    await store.tokens.restore(first);
    t.false(await store.tokens.consume(first, 'n1', '10.0.0.1', 1500));
    t.true(await store.tokens.consume(second, 'n1', '10.0.0.1', 1500));
    t.true(await store.tokens.consume(other, 'n2', '10.0.0.1', 1500));
  });
}
