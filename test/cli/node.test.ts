import test from 'ava';
import { newSite } from './in-process.js';

test('add, list, show, set and remove', async (t) => {
  const { rackboot, json } = await newSite(t);
  t.deepEqual(
    await rackboot(
      'node',
      'add',
      'n1',
      '--mac',
      '525400000001',
      '--ip',
      '10.77.0.11',
      '--group',
      'rack1,odd',
    ),
    {
      status: 0,
      out: 'added n1\n',
      err: '',
    },
  );
  const second = await rackboot(
    'node',
    'add',
    'n2',
    '--mac',
    '52:54:00:00:00:02',
    '--attr',
    'console=ttyS0,115200',
  );
  t.regex(
    second.err,
    /^n2 has no address: DHCP answers it only out of a pool; reserve one with: rackboot node set n2 --ip ADDRESS\n$/,
  );
  t.is(
    (await rackboot('node', 'ls')).out,
    `NODE  MAC                ADDRESS     GROUPS     SET TO
n1    52:54:00:00:00:01  10.77.0.11  odd,rack1  boot
n2    52:54:00:00:00:02  -           -          boot
`,
  );
  t.is(
    (await rackboot('node', 'show', 'n2')).out,
    `n2
  mac                52:54:00:00:00:02
  set to             boot
  attribute console  ttyS0,115200
`,
  );
  t.deepEqual(await json('node', 'show', 'n1'), [
    {
      name: 'n1',
      macs: ['52:54:00:00:00:01'],
      ip: '10.77.0.11',
      uuid: null,
      serial: null,
      groups: ['odd', 'rack1'],
      attributes: {},
      assignment: null,
    },
  ]);
  t.is(
    (
      await rackboot(
        'node',
        'set',
        'n[1-2]',
        '--add-group',
        'rack2',
        '--remove-group',
        'odd',
        '--attr',
        'console=',
      )
    ).out,
    'changed n[1-2]\n',
  );
  await rackboot('node', 'set', 'n2', '--ip', '10.77.0.12', '--serial', 'SN2');
  t.like(await json('node', 'ls'), [
    { name: 'n1', groups: ['rack1', 'rack2'], attributes: {} },
    { name: 'n2', groups: ['rack2'], ip: '10.77.0.12', serial: 'SN2', attributes: {} },
  ]);
  await rackboot('node', 'set', 'n2', '--ip', '', '--serial', '');
  t.like(await json('node', 'show', 'n2'), [{ ip: null, serial: null }]);
  t.is((await rackboot('nodels', 'rack2,-n1')).out, 'n2\n');
  t.deepEqual(await json('nodels'), ['n1', 'n2']);
  t.is((await rackboot('node', 'rm', 'rack2')).out, 'removed n[1-2]\n');
  t.regex((await rackboot('node', 'ls')).out, /^no node yet; add one with: rackboot node add NAME/);
});

test('nodels --compat reads as xCAT does', async (t) => {
  const { rackboot } = await newSite(t);
  await rackboot('node', 'add', 'node1', '--mac', '525400000001');
  t.is((await rackboot('nodels', '--compat', '1,-(node[3-1])')).out, 'node1\n');
  t.deepEqual(await rackboot('nodels', '--compat', 'node1,node2'), {
    status: 1,
    out: '',
    err: 'rackboot: Invalid nodes and/or groups in noderange: node2\n',
  });
});

const wrong: readonly (readonly [number, RegExp, ...string[]])[] = [
  [
    1,
    /^rackboot: node n1 exists; change it with: rackboot node set n1$/,
    'node',
    'add',
    'n1',
    '--mac',
    '525400000009',
  ],
  [1, /belongs to node n1/, 'node', 'add', 'n3', '--mac', '52:54:00:00:00:01'],
  [1, /10\.77\.0\.11 belongs to node n1/, 'node', 'set', 'n2', '--ip', '10.77.0.11'],
  [2, /nothing to know it by/, 'node', 'add', 'n3'],
  [2, /MAC 'xyz': write twelve/, 'node', 'add', 'n3', '--mac', 'xyz'],
  [2, /RFC 1123/, 'node', 'add', 'n_3', '--mac', '525400000003'],
  [2, /one host's IPv4 address/, 'node', 'set', 'n1', '--ip', '300.1.1.1'],
  [2, /--attr console: write it as key=value/, 'node', 'set', 'n1', '--attr', 'console'],
  [2, /--ip can be set for one node only, and 'n1,n2' names 2/, 'node', 'set', 'n1,n2', '--ip', '10.0.0.1'],
  [1, /no node or group called n9; nothing was done\. Did you mean 'n1'/, 'node', 'rm', 'n1,n9'],
  [1, /no node or group called n9/, 'node', 'show', 'n9'],
  [2, /missing required argument 'noderange'/, 'node', 'show'],
  [2, /unknown command 'lst'/, 'node', 'lst'],
];
for (const [status, message, ...words] of wrong) {
  test(`refused: ${words.join(' ')}`, async (t) => {
    const { rackboot, json } = await newSite(t);
    await rackboot('node', 'add', 'n1', '--mac', '525400000001', '--ip', '10.77.0.11');
    await rackboot('node', 'add', 'n2', '--mac', '525400000002', '--ip', '10.77.0.12');
    const before = await json('node', 'ls');
    const outcome = await rackboot(...words);
    t.is(outcome.status, status);
    t.is(outcome.out, '');
    t.regex(outcome.err.trimEnd(), new RegExp(message.source, 'm'));
    if (status === 1) t.is(outcome.err.trimEnd().split('\n').length, 1);
    t.deepEqual(await json('node', 'ls'), before);
  });
}

test('every command has a description, and help with examples', async (t) => {
  const { rackboot } = await newSite(t);
  for (const words of [
    'node add',
    'node set',
    'node ls',
    'node show',
    'node rm',
    'nodels',
    'nodeset',
    'status',
    'serve',
  ]) {
    const { status, out } = await rackboot(...words.split(' '), '--help');
    t.is(status, 0);
    t.regex(out, new RegExp(`Usage: rackboot ${words}`));
    t.regex(out, /\nExamples:\n {2}rackboot /, words);
  }
});

test('lists are in the order that people count in', async (t) => {
  const { rackboot } = await newSite(t);
  for (const number of [10, 9, 1])
    await rackboot(
      'node',
      'add',
      `n${number}`,
      '--mac',
      `52:54:00:00:00:${number.toString().padStart(2, '0')}`,
    );
  for (const words of [['node', 'ls'], ['status']]) {
    const { out } = await rackboot(...words);
    t.deepEqual(out.match(/^n\d+/gm), ['n1', 'n9', 'n10'], words.join(' '));
  }
});
