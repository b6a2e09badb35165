import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { AssignmentRecord } from '../../src/store/records.js';
import { openSite } from '../../src/site/site.js';
import { openStore } from '../../src/store/store.js';
import { parseNode } from '../../src/node/nodes.js';
import { newSite } from './in-process.js';

async function siteWithNodes(t: Parameters<typeof newSite>[0], count: number) {
  const site = await newSite(t);
  const store = await openStore(await openSite(site.dir));
  for (let n = 1; n <= count; n++) {
    const mac = `525400${n.toString(16).padStart(6, '0')}`;
    await store.nodes.put(parseNode({ name: `n${n}`, macs: [mac], groups: ['rack1'] }));
  }
  await store.close();
  return site;
}

test('set, show, and set back', async (t) => {
  const { rackboot, json, generations } = await siteWithNodes(t, 3);
  const [first = '', second = ''] = generations;
  t.deepEqual(await rackboot('nodeset', 'n1', 'osimage=d12'), {
    status: 0,
    out: 'n1: boot -> osimage d12\n',
    err: '',
  });
  t.deepEqual(await rackboot('nodeset', 'rack1', 'osimage=d12@1:rescue'), {
    status: 0,
    out: `n1: osimage d12 -> osimage d12@${first.slice(0, 12)}:rescue\nn[2-3]: boot -> osimage d12@${first.slice(0, 12)}:rescue\n`,
    err: 'rack1 is 3 nodes: n[1-3]\n',
  });
  t.is((await rackboot('nodeset', 'n1', 'stat')).out, `n1: osimage d12@${first.slice(0, 12)}:rescue\n`);
  t.is((await rackboot('nodeset', 'n1', `osimage=d12@${second.slice(0, 6)}`)).status, 0);
  t.like(await json('nodeset', 'n[1-2]', 'stat'), [
    { node: 'n1', state: 'osimage', osimage: 'd12', generation: second, entry: null },
    { node: 'n2', state: 'osimage', osimage: 'd12', generation: first, entry: 'rescue' },
  ]);
  t.is((await rackboot('nodeset', 'all', 'offline')).out.trim().split('\n').length, 2);
  t.is((await rackboot('nodeset', 'n2', 'boot')).out, 'n2: offline -> boot\n');
  t.is((await rackboot('nodeset', 'n2', 'boot')).out, 'n2: unchanged\n');
});

test('removing an osimage with --force tells the history of the nodes that booted it', async (t) => {
  const { rackboot, json } = await siteWithNodes(t, 2);
  await rackboot('nodeset', 'rack1', 'osimage=d12');
  const refused = await rackboot('image', 'rm', 'd12');
  t.is(refused.status, 1);
  t.regex(refused.err, /osimage d12: n1, n2 will boot it; set them .* or use --force/);
  t.deepEqual(await json('image', 'rm', 'd12', '--force'), { removed: 'd12', nodes: ['n1', 'n2'] });
  t.like(await json('status', 'n1'), [{ state: 'boot', stage: 'nodeset', detail: 'boot' }]);
});

test('a dry run changes nothing', async (t) => {
  const { rackboot, json } = await siteWithNodes(t, 2);
  t.is(
    (await rackboot('nodeset', 'all', 'osimage=d12', '--dry-run')).out,
    'dry run: nothing is changed\nn[1-2]: boot -> osimage d12\n',
  );
  t.like(await json('nodeset', 'all', 'stat'), [
    { state: 'boot', since: null },
    { state: 'boot', since: null },
  ]);
});

const wrong: readonly (readonly [number, RegExp, string, string])[] = [
  [1, /no osimage "d13"; there are d12/, 'all', 'osimage=d13'],
  [1, /d12 has no generation "9"/, 'all', 'osimage=d12@9'],
  [1, /d12 has no generation "ffffff"/, 'all', 'osimage=d12@ffffff'],
  [1, /no boot entry 'nope'; it has: install, rescue/, 'all', 'osimage=d12:nope'],
  [2, /cannot set a node to 'boots' \(did you mean 'boot'\?\)/, 'all', 'boots'],
  [1, /no node or group called n9; nothing was done/, 'n1,n9', 'osimage=d12'],
  [1, /selects no node/, 'n1,-n1', 'osimage=d12'],
  [2, /counts downwards/, 'n[2-1]', 'osimage=d12'],
];
for (const [status, message, range, target] of wrong) {
  test(`refused whole: nodeset ${range} ${target}`, async (t) => {
    const { rackboot, json } = await siteWithNodes(t, 2);
    const outcome = await rackboot('nodeset', range, target);
    t.is(outcome.status, status);
    t.regex(outcome.err, message);
    t.is(outcome.err.trimEnd().split('\n').length, 1);
    t.like(await json('nodeset', 'all', 'stat'), [
      { state: 'boot', since: null },
      { state: 'boot', since: null },
    ]);
  });
}

test('a nodeset that is killed has set every node or none, and the next one works', async (t) => {
  const { dir, rackboot } = await siteWithNodes(t, 400);
  const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
  for (let round = 0; round < 8; round++) {
    const target = round % 2 === 0 ? 'osimage=d12@1' : 'osimage=d12@2';
    const child = spawn(process.execPath, [program, '--site', dir, 'nodeset', 'all', target], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await Promise.race([sleep(350 + round * 90), ended]);
    child.kill('SIGKILL');
    await ended;
    const store = await openStore(await openSite(dir));
    const rows: AssignmentRecord[] = await store.nodes.assignments();
    await store.close();
    t.true(rows.length === 0 || rows.length === 400, `${rows.length} nodes are set`);
    t.true(new Set(rows.map((row) => row.generation)).size <= 1);
  }
  t.is((await rackboot('nodeset', 'all', 'offline')).status, 0);
  t.is((await rackboot('nodeset', 'all', 'stat')).out.match(/: offline\n/g)?.length, 400);
});
