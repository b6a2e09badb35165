import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { packageRoot } from '../../src/site/assets.js';

const run = promisify(execFile);

test('bin/rackboot gives a server a small heap, and other commands Node’s own', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-start-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const node = join(directory, 'node');
  await writeFile(node, '#!/bin/sh\nprintf "%s\\n" "$@"\n');
  await chmod(node, 0o755);
  const wordsOf = async (...words: string[]): Promise<string[]> => {
    const env = { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` };
    const { stdout } = await run(join(packageRoot(), 'bin/rackboot'), words, { env, timeout: 60_000 });
    return stdout.trimEnd().split('\n');
  };
  const serve = await wordsOf('--site', '/srv/a site', 'serve');
  t.deepEqual(serve.slice(-3), ['--site', '/srv/a site', 'serve']);
  const program = serve.findIndex((word) => word.endsWith('main.js'));
  for (const flag of ['--max-semi-space-size=4', '--initial-old-space-size=32', '--heap-growing-percent=25'])
    t.true(serve.slice(0, program).includes(flag), flag);
  const other = await wordsOf('nodels', 'all');
  t.deepEqual(other.slice(-2), ['nodels', 'all']);
  t.false(other.some((word) => word.includes('heap') || word.includes('space')));
});
