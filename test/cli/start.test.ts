import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/site/assets.js';

const run = promisify(execFile);

const heapFlags = ['--max-semi-space-size=4', '--initial-old-space-size=32', '--heap-growing-percent=25'];

/** What bin/rackboot starts Node with for a command line, where a Node knows all flags but those of `unknown`. */
async function starter(
  t: ExecutionContext,
  unknown: readonly string[] = [],
): Promise<(...words: string[]) => Promise<{ readonly flags: string[]; readonly words: string[] }>> {
  const directory = await mkdtemp(join(tmpdir(), 'rackboot-start-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const node = join(directory, 'node');
  const refusals = unknown.map((flag) => `case $1 in ${flag}=*) exit 9 ;; esac\n`).join('');
  await writeFile(node, `#!/bin/sh\n${refusals}printf '%s\\n' "$@"\n`);
  await chmod(node, 0o755);
  return async (...words) => {
    const env = { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` };
    const { stdout } = await run(join(packageRoot(), 'bin/rackboot'), words, { env, timeout: 60_000 });
    const all = stdout.trimEnd().split('\n');
    const program = all.findIndex((word) => word.endsWith('main.js'));
    return {
      flags: all.slice(0, program).filter((word) => !word.includes('source-maps')),
      words: all.slice(program + 1),
    };
  };
}

test('bin/rackboot gives a server a small heap, and other commands Node’s own', async (t) => {
  const start = await starter(t);
  for (const [words, flags] of [
    [['serve'], heapFlags],
    [['--site', '/srv/a site', 'serve'], heapFlags],
    [['--site=/srv/a', '--json', 'serve', '--log-level', 'warn'], heapFlags],
    [['--site', 'serve', 'serve'], heapFlags],
    [['--site', '--odd', 'serve'], heapFlags],
    [['--site', 'serve', 'nodels', 'all'], []],
    [['nodels', 'serve'], []],
    [['node', 'add', 'serve'], []],
    [['nodels', 'all'], []],
    [['--help'], []],
    [[], []],
  ] as const) {
    t.deepEqual(await start(...words), { flags: [...flags], words: [...words] }, words.join(' '));
  }
});

test('bin/rackboot starts a server without the flags that a Node has no more', async (t) => {
  const start = await starter(t, ['--heap-growing-percent']);
  t.deepEqual((await start('serve')).flags, heapFlags.slice(0, 2));
});

test('this Node knows every flag that bin/rackboot gives a server', async (t) => {
  for (const flag of heapFlags) await t.notThrowsAsync(run(process.execPath, [flag, '--version']), flag);
});
