import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PowerError } from '../../../src/node/power/errors.js';
import { ipmiControl } from '../../../src/node/power/ipmi.js';
import { perform } from '../../../src/node/power/perform.js';
import { type IpmiSim, startIpmiSim } from './ipmi-sim.js';

async function simulator(t: ExecutionContext): Promise<IpmiSim> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-ipmi-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const sim = await startIpmiSim(dir);
  t.teardown(() => sim.stop());
  return sim;
}

// A cipher suite is named as ipmi_sim never answers which it has, and ipmitool then asks again and again.
const options = { privilege: 'ADMINISTRATOR', cipher: 3, retries: 3 } as const;

function controlOf(sim: IpmiSim, password = sim.password, signal = AbortSignal.timeout(120_000)) {
  const at = { host: '127.0.0.1', port: sim.port };
  return ipmiControl(at, { username: sim.username, password }, options, signal);
}

test.serial('ipmi_sim is switched through every verb', async (t) => {
  const sim = await simulator(t);
  const control = controlOf(sim);
  t.is(await perform(control, { verb: 'stat' }), 'off');
  t.is(await perform(control, { verb: 'boot', next: 'net', firmware: 'uefi' }), 'off on');
  t.is(await perform(control, { verb: 'stat' }), 'on');
  t.is(await perform(control, { verb: 'boot' }), 'on reset');
  t.is(await perform(control, { verb: 'reset', next: 'cd' }), 'reset');
  t.is(await perform(control, { verb: 'softoff' }), 'softoff');
  t.is(await perform(control, { verb: 'off' }), 'off');
  t.is(await perform(control, { verb: 'on' }), 'on');
  t.is(await perform(control, { verb: 'cycle' }), 'cycle');
  t.deepEqual(await sim.told(), [
    'boot pxe',
    'power 1',
    'reset 1',
    'boot cdrom',
    'reset 1',
    'shutdown 1',
    'power 0',
    'power 1',
    'power 0',
  ]);
});

test.serial('a machine that is off is neither reset nor cycled, and its boot device stays', async (t) => {
  const sim = await simulator(t);
  for (const verb of ['reset', 'cycle'] as const) {
    const error = await t.throwsAsync(perform(controlOf(sim), { verb, next: 'net' }), {
      instanceOf: PowerError,
    });
    t.is(error.code, 'IS_OFF');
  }
  t.deepEqual(await sim.told(), []);
});

test.serial('what a BMC does not do is its refusal, in one line', async (t) => {
  const sim = await simulator(t);
  const error = await t.throwsAsync(perform(controlOf(sim), { verb: 'nmi' }), { instanceOf: PowerError });
  t.is(error.code, 'REFUSED');
  t.regex(error.message, /^127\.0\.0\.1:\d+ refuses: .*Diag failed: Invalid data field in request; look at/);
});

test.serial('a wrong password, an unknown user and nobody there are told apart', async (t) => {
  const sim = await simulator(t);
  const at = { host: '127.0.0.1', port: sim.port };
  const signal = AbortSignal.timeout(120_000);
  const asked = async (
    where: typeof at,
    username: string,
    password: string,
    retries = options.retries as number,
  ): Promise<PowerError> => {
    const control = ipmiControl(where, { username, password }, { ...options, retries }, signal);
    return t.throwsAsync(control.state(), { instanceOf: PowerError });
  };
  const wrong = await asked(at, sim.username, 'not-that-one');
  t.is(wrong.code, 'ACCESS_DENIED');
  t.regex(wrong.message, /does not let 'ADMIN' in; check user and password$/);
  t.false(wrong.message.includes('not-that-one'));
  t.is((await asked(at, 'nobody', sim.password)).code, 'ACCESS_DENIED');
  await sim.stop();
  const gone = await asked(at, sim.username, sim.password, 0);
  t.is(gone.code, 'UNREACHABLE');
  t.regex(gone.message, /^127\.0\.0\.1:\d+ does not answer IPMI; check the address/);
  for (const [username, password] of [
    ['x', 'p'.repeat(21)],
    ['u'.repeat(17), 'x'],
  ] as const) {
    const error = await asked(at, username, password);
    t.is(error.code, 'ACCESS_DENIED');
    t.regex(error.message, /users of 16 and passwords of 20 characters/);
  }
  t.is((await asked({ host: 'bmc.invalid', port: 623 }, 'x', 'y')).code, 'UNREACHABLE');
});

test.serial('time that is up ends ipmitool', async (t) => {
  const sim = await simulator(t);
  await sim.stop();
  const error = await t.throwsAsync(controlOf(sim, sim.password, AbortSignal.timeout(300)).state(), {
    instanceOf: PowerError,
  });
  t.is(error.code, 'TIMED_OUT');
});

test.serial('the password is in no argument of any process', async (t) => {
  const sim = await simulator(t);
  await sim.stop();
  const secret = `secret-${process.pid}-7713`;
  const stop = new AbortController();
  const asked = controlOf(sim, secret, stop.signal)
    .state()
    .catch((error: unknown) => error);
  let seen = false;
  let ended = false;
  void asked.then(() => (ended = true));
  while (!seen && !ended) {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      t.false(words.includes(secret));
      if (words.includes('ipmitool') && words.includes(`\0${sim.port}\0`)) seen = true;
    }
  }
  stop.abort();
  t.true(seen, 'ipmitool was seen at work');
  t.true((await asked) instanceof PowerError);
});
