import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import test from 'ava';
import { isRunning, thisProcess } from '../../src/store/process.js';
import { leaseIsOver } from '../../src/store/state/garbage.js';

const own = thisProcess();

test('this process runs, one that took its number later would not be taken for it', (t) => {
  t.is(own.pid, process.pid);
  t.true(isRunning(own));
  t.false(isRunning({ ...own, started: `${Number(own.started) - 1}` }));
  t.is(isRunning({ ...own, host: 'elsewhere' }), undefined);
});

test('a process that was killed does not run, even before its parent has noticed', async (t) => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
  const identity = {
    ...own,
    pid: child.pid!,
    started: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!,
  };
  t.true(isRunning(identity));
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  t.false(isRunning(identity));
});

const lease = {
  id: 'x',
  kind: 'write',
  holder: 'test',
  host: 'h',
  pid: 1,
  started: '2',
  osimage: null,
  generation: null,
  refs: null,
  expires_at: 100,
} as const;

for (const [what, over, now, running] of [
  ['a live process', false, 99, true],
  ['a live process, out of time', true, 100, true],
  ['a dead process', true, 50, false],
  ['a process on another host', false, 99, undefined],
  ['a process on another host, out of time', true, 101, undefined],
] as const) {
  test(`the lease of ${what} is ${over ? '' : 'not '}over`, (t) => {
    t.is(
      leaseIsOver(lease, now, () => running),
      over,
    );
  });
}

test('a lease that no process holds is over when its time is', (t) => {
  const boot = { ...lease, kind: 'boot', host: null, pid: null, started: null } as const;
  t.false(leaseIsOver(boot, 99, () => false));
  t.true(leaseIsOver(boot, 100, () => true));
});
