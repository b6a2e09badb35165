import test from 'ava';
import { ask, runSite, type RunningSite } from '../pxe/http/running-site.js';

const put = (target: unknown, headers: Record<string, string> = {}) => ({
  method: 'PUT',
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(target),
});

/** Asks for a change with the site’s token. */
const write = (running: RunningSite, path: string, request: ReturnType<typeof put>) =>
  ask(running, path, {
    ...request,
    headers: { Authorization: `Bearer ${running.token}`, ...request.headers },
  });

async function site(t: Parameters<typeof runSite>[0]) {
  const running = await runSite(t);
  await running.addNode({
    name: 'n1',
    macs: ['52:54:00:00:00:01'],
    ip: '127.0.0.11',
    attributes: { password: 'hunter2' },
  });
  await running.addNode({ name: 'n2', macs: ['52:54:00:00:00:02'] });
  const id = await running.publish({ name: 'd12', answer: 'x' });
  return { ...running, id };
}

test('nodes, one node, status, osimages and their history', async (t) => {
  const running = await site(t);
  await running.assign('n1', {});
  const json = async (path: string): Promise<unknown> => JSON.parse((await ask(running, path)).text);
  t.like(await json('/api/v1/nodes'), [
    {
      name: 'n1',
      ip: '127.0.0.11',
      assignment: { state: 'osimage', osimage: 'd12' },
      attributes: { password: 'hunter2' },
    },
    { name: 'n2', ip: null, assignment: null },
  ]);
  await ask(running, '/nodes/n1/report?stage=installing', { from: '127.0.0.11' });
  t.like(await json('/api/v1/nodes/n1'), {
    name: 'n1',
    status: { node: 'n1', stage: 'installing', progress: 0.7, generation: running.id, generationNumber: 1 },
    events: [{ stage: 'installing', client: '127.0.0.11' }],
  });
  t.like(await json('/api/v1/status'), [
    { node: 'n1', stage: 'installing' },
    { node: 'n2', stage: null, progress: null },
  ]);
  t.like(await json('/api/v1/osimages'), [{ name: 'd12', current: running.id }]);
  t.like(await json('/api/v1/osimages/d12/history'), [{ id: running.id, number: 1, isCurrent: true }]);
  for (const path of ['/api/v1/nodes/nope', '/api/v1/osimages/nope/history', '/api/v1/nope']) {
    const answer = await ask(running, path);
    t.is(answer.status, 404);
    t.like(JSON.parse(answer.text), { error: { code: 'NOT_FOUND' } });
  }
});

// Loopback is all that a test may use; what comes through a proxy, or under another name, is not from here either.
const strangers: readonly (readonly [string, Record<string, string>])[] = [
  ['a proxy', { 'X-Forwarded-For': '10.0.0.1' }],
  ['a proxy that says Forwarded', { Forwarded: 'for=10.0.0.1' }],
  ['a proxy that says Via', { Via: '1.1 proxy' }],
  ['a page whose name resolves here', { Host: 'evil.example:8080' }],
];
for (const [who, headers] of strangers) {
  test(`${who} sees no attributes and changes nothing`, async (t) => {
    const running = await site(t);
    for (const path of ['/api/v1/nodes', '/api/v1/nodes/n1']) {
      const answer = await ask(running, path, { headers });
      t.is(answer.status, 200);
      t.false(answer.text.includes('hunter2'));
      t.false(answer.text.includes('attributes'));
    }
    const answer = await write(
      running,
      '/api/v1/nodes/n1/assignment',
      put({ target: 'osimage=d12' }, headers),
    );
    t.is(answer.status, 403);
    t.is(await running.store.nodes.assignment('n1'), undefined);
  });
}

for (const [what, authorization] of [
  ['no token', undefined],
  ['an empty one', 'Bearer '],
  ['a wrong one', `Bearer ${'x'.repeat(43)}`],
  ['another scheme', 'Basic cm9vdDpyb290'],
] as const) {
  test(`${what}: nothing is changed`, async (t) => {
    const running = await site(t);
    const headers = authorization === undefined ? {} : { Authorization: authorization };
    const answer = await ask(running, '/api/v1/nodes/n1/assignment', put({ target: 'osimage=d12' }, headers));
    t.is(answer.status, 401);
    t.is(answer.headers['www-authenticate'], 'Bearer realm="rackboot"');
    t.like(JSON.parse(answer.text), { error: { code: 'UNAUTHORIZED' } });
    t.is(await running.store.nodes.assignment('n1'), undefined);
    t.false(running.log.join('').includes(running.token));
  });
}

test('an assignment is set as nodeset sets it', async (t) => {
  const running = await site(t);
  const path = '/api/v1/nodes/n1/assignment';
  const first = await write(running, path, put({ target: 'osimage=d12@1' }));
  t.deepEqual(JSON.parse(first.text), {
    node: 'n1',
    from: 'boot',
    to: `osimage d12@${running.id.slice(0, 12)}`,
  });
  const before = await running.store.nodes.assignment('n1');
  t.is((await write(running, path, put({ target: 'osimage=d12@1' }))).status, 200);
  t.deepEqual(await running.store.nodes.assignment('n1'), before);
  t.like(JSON.parse((await write(running, path, put({ target: 'boot' }))).text), { to: 'boot' });
  t.deepEqual(await running.stages('n1'), ['nodeset', 'nodeset']);
});

const wrong: readonly (readonly [string, ReturnType<typeof put>, number, RegExp])[] = [
  [
    'no JSON type',
    { ...put({ target: 'boot' }), headers: { 'Content-Type': 'text/plain' } },
    415,
    /Content-Type: application\/json/,
  ],
  ['no JSON', { ...put(''), body: '{' }, 400, /the body must be/],
  ['no target', put({}), 400, /the body must be/],
  ['more than a target', put({ target: 'boot', x: 1 }), 400, /the body must be/],
  ['stat', put({ target: 'stat' }), 400, /sets nothing/],
  ['no such target', put({ target: 'reboot' }), 400, /cannot set a node to 'reboot'/],
  ['no such osimage', put({ target: 'osimage=d13' }), 404, /d13/],
  ['no such generation', put({ target: 'osimage=d12@7' }), 404, /7/],
  ['no such entry', put({ target: 'osimage=d12:nope' }), 404, /no boot entry 'nope'; it has: install/],
  ['too much', put({ target: 'x'.repeat(20_000) }), 413, /16384 bytes at most/],
];
for (const [what, request, status, message] of wrong) {
  test(`refused: ${what}`, async (t) => {
    const running = await site(t);
    const answer = await write(running, '/api/v1/nodes/n1/assignment', request);
    t.is(answer.status, status);
    t.regex((JSON.parse(answer.text) as { error: { message: string } }).error.message, message);
    t.is(await running.store.nodes.assignment('n1'), undefined);
  });
}

test('refused: a node that would get no answer file', async (t) => {
  const running = await site(t);
  await running.publish({ name: 'd13', answer: 'first line\n{{ node.attributes.disk }}' });
  const answer = await write(running, '/api/v1/nodes/n1/assignment', put({ target: 'osimage=d13' }));
  t.is(answer.status, 409);
  t.deepEqual(JSON.parse(answer.text), {
    error: {
      code: 'BAD_ANSWER',
      message:
        "n1 would get no answer file: configs/test/answerfile.liquid line 2: undefined variable: node.attributes.disk; known are: node.attributes.password; for an optional one write {{ node.attributes.disk | default: '' }}",
    },
  });
  t.is(await running.store.nodes.assignment('n1'), undefined);
});
