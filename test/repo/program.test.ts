import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { codeOf } from '../../src/errors.js';
import { output, run } from '../../src/repo/program.js';
import { packageRoot } from '../../src/site/assets.js';
import { workDirectory } from './rpm-packages.js';

const sh = (script: string): { program: string; args: string[]; package: string } => ({
  program: 'sh',
  args: ['-c', script],
  package: 'dash',
});

test('a program gives its status and what it wrote, without the last line’s end', async (t) => {
  t.deepEqual(await run(sh('echo a; echo b >&2; exit 3')), { code: 3, stdout: 'a', stderr: 'b' });
  t.is(await output({ ...sh('cat'), input: Buffer.from('x\n\n') }), 'x\n');
  t.is(await output({ ...sh('read line || echo none') }), 'none', 'without input there is none');
  t.is(await output({ ...sh('exit 0'), input: Buffer.alloc(1 << 20) }), '', 'nor need it be read');
  const error = await t.throwsAsync(output(sh('echo one >&2; echo two >&2; exit 1')));
  t.is(codeOf(error), 'TOOL_FAILED');
  t.is(error?.message, 'sh failed: two');
});

test('it sees the variables that it is given, and few others', async (t) => {
  process.env['RACKBOOT_TEST_SECRET'] = 'no';
  t.teardown(() => delete process.env['RACKBOOT_TEST_SECRET']);
  const seen = await output({ ...sh('env'), env: { MINE: 'yes' } });
  t.true(seen.includes('MINE=yes'));
  t.false(seen.includes('RACKBOOT_TEST_SECRET'));
});

test('one that is missing, that takes too long or that is ended is named', async (t) => {
  const missing = await t.throwsAsync(run({ program: 'no-such-program', args: [], package: 'nothing' }));
  t.is(codeOf(missing), 'MISSING_TOOL');
  const late = await t.throwsAsync(
    run({ program: 'sleep', args: ['60'], package: 'coreutils', timeout: 50 }),
  );
  t.is(late?.message, 'sleep was ended: it took too long');
  const killed = await t.throwsAsync(run(sh('kill -9 $$')));
  t.is(killed?.message, 'sh was ended: SIGKILL');
  const ending = new AbortController();
  const ended = run({ program: 'sleep', args: ['60'], package: 'coreutils', signal: ending.signal });
  ending.abort();
  t.is(codeOf(await t.throwsAsync(ended)), 'TOOL_FAILED');
});

test.serial('many at once listen for signals as one, and leave nothing behind', async (t) => {
  const listeners = (): number[] =>
    ['exit', 'SIGHUP', 'SIGINT', 'SIGTERM'].map((event) => process.listenerCount(event));
  const before = listeners();
  const ended = Promise.all(Array.from({ length: 12 }, () => run({ ...sh('cat'), input: Buffer.from('x') })));
  t.deepEqual(
    listeners(),
    before.map((count) => count + 1),
  );
  await ended;
  t.deepEqual(listeners(), before);
});

test('a signal that ends us ends it too', async (t) => {
  const dir = await workDirectory(t);
  const module = pathToFileURL(path.join(packageRoot(), 'dist/src/repo/program.js')).href;
  const pidFile = path.join(dir, 'pid');
  const script = `import { run } from '${module}'; await run({ program: 'sh', args: ['-c', 'echo $$ > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; exec sleep 60'], package: 'dash' });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  for (let attempt = 0; attempt < 600; attempt++) {
    if (
      await access(pidFile).then(
        () => true,
        () => false,
      )
    )
      break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const pid = Number(await readFile(pidFile, 'utf8'));
  child.kill('SIGTERM');
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  t.is(signal, 'SIGTERM');
  for (let attempt = 0; attempt < 600; attempt++) {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    if (state === undefined || / [ZX] /.test(state)) return t.pass();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.fail('it still runs');
});

test('one that does not mind being told to end is ended, and one that ends late has not succeeded', async (t) => {
  t.timeout(60_000);
  for (const script of ["trap '' TERM; exec sleep 60", "trap 'exit 0' TERM; sleep 2 & wait"]) {
    const late = await t.throwsAsync(run({ ...sh(script), timeout: 200 }));
    t.is(codeOf(late), 'TOOL_FAILED');
    t.regex(late?.message ?? '', /it took too long/);
  }
});
