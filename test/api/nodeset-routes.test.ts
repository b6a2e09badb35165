import test, { type ExecutionContext } from 'ava';
import { ask, runSite, type RunningSite } from '../pxe/http/running-site.js';

interface Answer {
  readonly nodes: readonly {
    node: string;
    from?: string;
    to?: string;
    error?: { code: string; message: string };
  }[];
  readonly warnings: readonly string[];
}

async function site(t: ExecutionContext): Promise<RunningSite> {
  const running = await runSite(t);
  for (const n of [1, 2, 3])
    await running.addNode({ name: `n${n}`, macs: [`52:54:00:00:00:0${n}`], ip: `127.0.0.1${n}` });
  await running.publish({ name: 'd12' });
  return running;
}

async function post(running: RunningSite, body: unknown, token = running.token) {
  const answer = await ask(running, '/api/v1/nodeset', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: JSON.parse(answer.text) as Answer };
}

const statesOf = async (running: RunningSite): Promise<unknown> =>
  JSON.parse((await ask(running, '/api/v1/nodeset')).text);

test('every node for itself: some are set, the others say why not', async (t) => {
  const running = await site(t);
  const { status, body } = await post(running, {
    nodes: [
      { node: 'n1', target: 'osimage=d12' },
      { node: 'nope', target: 'osimage=d12' },
      { node: 'n2', target: 'osimage=d13' },
      { node: 'n3', target: 'boot' },
      { node: 'no node', target: 'boot' },
      { node: 'n4', target: 'stat' },
    ],
  });
  t.is(status, 200);
  const byNode = new Map(body.nodes.map((each) => [each.node, each]));
  t.deepEqual(byNode.get('n1'), { node: 'n1', from: 'boot', to: 'osimage d12' });
  t.deepEqual(byNode.get('n3'), { node: 'n3', from: 'boot', to: 'boot' });
  t.like(byNode.get('nope'), {
    error: {
      code: 'NO_SUCH_NODE',
      message: 'rackboot has no node of that name; add it with: rackboot node import',
    },
  });
  t.like(byNode.get('n2'), { error: { code: 'NO_SUCH_OSIMAGE' } });
  t.like(byNode.get('no node'), { error: { code: 'BAD_NAME' } });
  t.like(byNode.get('n4'), { error: { code: 'BAD_TARGET' } });
  t.is(await running.store.nodes.assignment('n2'), undefined);
  t.deepEqual(await statesOf(running), [
    { node: 'n1', state: 'osimage d12' },
    { node: 'n2', state: 'boot' },
    { node: 'n3', state: 'boot' },
  ]);
});

test('a thousand nodes are set in one request, one more is refused', async (t) => {
  const running = await site(t);
  const names = Array.from({ length: 1000 }, (_, n) => `m${n}`);
  for (const [n, name] of names.entries())
    await running.addNode({ name, macs: [`0200000${(0x10000 + n).toString(16)}`] });
  const orders = names.map((node) => ({ node, target: 'osimage=d12', line: `quiet NODE=${node}` }));
  const { status, body } = await post(running, { nodes: orders });
  t.is(status, 200);
  t.is(body.nodes.filter(({ to }) => to === 'osimage d12, xCAT’s kernel line').length, 1000);
  t.is((await running.store.nodes.assignments()).filter(({ line }) => line !== undefined).length, 1000);
  const more = [...orders, { node: 'n1', target: 'boot' }];
  t.is((await post(running, { nodes: more })).status, 400);
  t.is(await running.store.nodes.assignment('n1'), undefined);
});

test('a kernel line handed over is what the node boots with, until it is set without one', async (t) => {
  const running = await site(t);
  await running.addNode({
    name: 'n9',
    macs: ['52:54:00:00:00:09'],
    ip: '127.0.0.19',
    attributes: { bootargs: 'mine=1' },
  });
  const script = async (): Promise<string> =>
    (await ask(running, '/nodes/n9/boot.ipxe', { from: '127.0.0.19' })).text;
  const line = 'imgurl=http://m:80//install/x XCAT=m:3001 console="ttyS0,115200 x" NODE=n9';
  await post(running, { nodes: [{ node: 'n9', target: 'osimage=d12', line }] });
  t.regex(
    await script(),
    /imgurl=http:\/\/m:80\/\/install\/x XCAT=m:3001 console="ttyS0,115200 x" NODE=n9 mine=1/,
  );
  t.notRegex(await script(), /url=\S+answerfile/);
  const before = await running.store.nodes.assignment('n9');
  await post(running, { nodes: [{ node: 'n9', target: 'osimage=d12', line }] });
  t.deepEqual(await running.store.nodes.assignment('n9'), before);
  const changed = await post(running, { nodes: [{ node: 'n9', target: 'osimage=d12', line: 'other' }] });
  t.like(changed.body, {
    nodes: [{ from: 'osimage d12, xCAT’s kernel line', to: 'osimage d12, xCAT’s kernel line' }],
  });
  t.regex(await script(), / other mine=1/);
  const alone = await post(running, { nodes: [{ node: 'n9', target: 'osimage=d12' }] });
  t.like(alone.body, { nodes: [{ from: 'osimage d12, xCAT’s kernel line', to: 'osimage d12' }] });
  t.is((await running.store.nodes.assignment('n9'))?.line, undefined);
  t.notRegex(await script(), / other /);
});

for (const [what, line, message] of [
  ['too long', 'x'.repeat(2048), /2048 bytes long and Linux takes 2047/],
  ['with a line end', 'a\u0001b', /other than printable ASCII/],
  ['not ASCII', 'name=é', /other than printable ASCII/],
  ['with an open quote', 'a="b', /open double quote/],
] as const) {
  test(`a kernel line that is ${what} is refused for its node alone`, async (t) => {
    const running = await site(t);
    const { body } = await post(running, {
      nodes: [
        { node: 'n1', target: 'osimage=d12', line },
        { node: 'n2', target: 'osimage=d12', line: 'quiet' },
      ],
    });
    const byNode = new Map(body.nodes.map((each) => [each.node, each]));
    t.regex(byNode.get('n1')?.error?.message ?? '', message);
    t.is(byNode.get('n2')?.to, 'osimage d12, xCAT’s kernel line');
    t.is(await running.store.nodes.assignment('n1'), undefined);
  });
}

test('next goes on with a chain, and leaves the kernel line of the step before behind', async (t) => {
  const running = await site(t);
  await running.publish({ name: 'genesis' });
  await post(running, {
    nodes: [{ node: 'n1', target: 'runcmd=bmcsetup,osimage=d12', line: 'xcatd=m:3001' }],
  });
  t.like(await running.store.nodes.assignment('n1'), { destiny: 'runcmd=bmcsetup', line: 'xcatd=m:3001' });
  running.clock.now += 1000;
  await ask(running, '/nodes/n1/boot.ipxe', { from: '127.0.0.11' });
  await ask(running, '/nodes/n1/report?stage=next', { from: '127.0.0.11' });
  const next = await running.store.nodes.assignment('n1');
  t.like(next, { state: 'osimage', osimage: 'd12' });
  t.is(next?.line, undefined);
});

for (const [what, body, status] of [
  ['no list', {}, 400],
  ['an order without a target', { nodes: [{ node: 'n1' }] }, 400],
  ['more than an order', { nodes: [{ node: 'n1', target: 'boot', x: 1 }] }, 400],
  ['a body of 5 MB', { nodes: [], x: 'x'.repeat(5 << 20) }, 413],
] as const) {
  test(`refused: ${what}`, async (t) => {
    const running = await site(t);
    t.is((await post(running, body)).status, status);
  });
}

test('without the token nothing is set', async (t) => {
  const running = await site(t);
  const nodes = [{ node: 'n1', target: 'osimage=d12' }];
  t.is((await post(running, { nodes }, 'x'.repeat(43))).status, 401);
  t.is(await running.store.nodes.assignment('n1'), undefined);
  t.false(running.log.join('').includes(running.token));
});
