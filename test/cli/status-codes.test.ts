import test from 'ava';
import { newSite } from './in-process.js';

const cases: readonly (readonly [number, ...string[]])[] = [
  [2, 'nodeset', 'n1', 'osimag=d12'],
  [2, 'nodeset', 'n1', 'shel'],
  [1, 'nodeset', 'n1', 'shell'],
  [2, 'nodeset', 'n[3-1]', 'boot'],
  [2, 'node', 'add', 'bad/name'],
  [2, 'node', 'add', 'n2', '--mac', '1'],
  [2, 'image', 'iso', 'd12', '-o', '/nonexistent/x', '--nosuch'],
  [1, 'nodeset', 'n1', 'osimage=nosuch'],
  [1, 'nodeset', 'n9', 'boot'],
  [1, 'node', 'show', 'n9'],
  [1, 'image', 'show', 'nosuch'],
  [0, 'nodeset', 'n1', 'boot'],
];

test('wrong words exit 2, what the site refuses exits 1', async (t) => {
  const { rackboot } = await newSite(t);
  await rackboot('node', 'add', 'n1', '--mac', '52:54:00:00:00:01');
  for (const [expected, ...words] of cases) {
    const { status, err } = await rackboot(...words);
    t.is(status, expected, `${words.join(' ')}: ${err}`);
  }
});
