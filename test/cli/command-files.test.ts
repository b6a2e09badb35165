import { PassThrough } from 'node:stream';
import test from 'ava';
import { createProgram, everyCommand } from '../../src/cli/program.js';
import { pathOf } from '../../src/cli/reference.js';

const streams = { stdout: new PassThrough(), stderr: new PassThrough() };

test('every command is found when only its own file is loaded', async (t) => {
  const { program } = await createProgram(streams);
  const paths = everyCommand(program).slice(1).map(pathOf);
  t.true(paths.includes('rackboot image put'));
  for (const path of paths) {
    const { program: loaded } = await createProgram(streams, path.split(' ').slice(1));
    t.true(everyCommand(loaded).map(pathOf).includes(path), path);
  }
});

test('no command loads what only others need', async (t) => {
  const called = async (...words: string[]): Promise<string[]> =>
    everyCommand((await createProgram(streams, words)).program)
      .slice(1)
      .map(pathOf);
  const put = ['rackboot image', 'rackboot image put', 'rackboot image delete', 'rackboot image chmod'];
  t.deepEqual(await called('image', 'put'), put);
  t.deepEqual(await called('--json', '--site', 'image', 'image', 'put', 'd12'), put);
  t.deepEqual(await called('--site=S', 'gc'), ['rackboot store', 'rackboot store verify', 'rackboot gc']);
});
