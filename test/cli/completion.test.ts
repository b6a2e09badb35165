import { join } from 'node:path';
import test from 'ava';
import { newSite, runCommand } from './in-process.js';

test('completion looks into the site that the words name', async (t) => {
  const { dir, rackboot } = await newSite(t);
  await rackboot('node', 'add', 'n1', '--mac', '52:54:00:00:00:01');
  for (const [words, expected] of [
    [['--site', dir, 'image', 'show', ''], ['d12']],
    [[`--site=${dir}`, 'image', 'show', 'd'], ['d12']],
    [['--site', '=', dir, 'image', 'show', 'd'], ['d12']],
    [['--site', join(dir, 'nowhere'), 'image', 'show', ''], []],
    [['--site', dir, 'nodeset', 'n'], ['n1']],
    [['--site', dir, 'nodeset', 'n1', 'osimage=d'], ['osimage=d12']],
    [['--site', dir, 'nodeset', 'n1', 'osimage', '=', 'd'], ['d12']],
    [['--site', dir, 'nodeset', 'n1', 'osimage', '='], ['d12']],
    [['--site', dir, 'nodeset', 'n1', 'osi'], ['osimage=d12']],
    [['--site', dir, 'image', 'iso', 'd12', '--node', ''], ['n1']],
    [['image', 'roll'], ['rollback']],
    [['image', 'rm', 'd12', '--fo'], ['--force']],
    [
      ['completion', ''],
      ['bash', 'fish', 'zsh'],
    ],
  ] as const) {
    const { status, out } = await runCommand(['complete', '--', ...words]);
    t.is(status, 0);
    t.deepEqual(out.split('\n').slice(0, -1), [...expected], words.join(' '));
  }
});
