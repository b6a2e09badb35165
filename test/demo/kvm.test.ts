import { readdir, readFile } from 'node:fs/promises';
import test from 'ava';
import { chooseAcceleration } from '../../src/demo/kvm.js';

/** Probes of ours that still run. */
async function probesLeft(): Promise<string[]> {
  const commands = (await readdir('/proc'))
    .filter((name) => /^\d+$/.test(name))
    .map(async (pid) => {
      const [command, status] = await Promise.all([
        readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''),
        readFile(`/proc/${pid}/status`, 'latin1').catch(() => ''),
      ]);
      const isOurs = status.includes(`\nPPid:\t${process.pid}\n`);
      return isOurs && command.includes('rackboot-probe') ? [command] : [];
    });
  return (await Promise.all(commands)).flat();
}

test.afterEach.always(async (t) => {
  t.deepEqual(await probesLeft(), []);
});

test.serial('without the device it is software emulation', async (t) => {
  const { accelerator, reason } = await chooseAcceleration({ device: '/nonexistent/kvm' });
  t.is(accelerator, 'tcg');
  t.regex(reason, /^KVM cannot be used: ENOENT.*\/nonexistent\/kvm/);
});

// Software emulation always works: what proves it would prove KVM.
const emulated = { device: '/dev/null', accelerator: 'tcg' } as const;

test.serial('a kernel that comes up proves it', async (t) => {
  const { reason } = await chooseAcceleration({ ...emulated, withinMs: 60_000 });
  t.regex(reason, /^a kernel booted under tcg in \d+ ms$/);
});

test.serial('a guest that hangs proves that it does not work', async (t) => {
  const { accelerator, reason } = await chooseAcceleration({ ...emulated, withinMs: 300 });
  t.is(accelerator, 'tcg');
  t.regex(reason, /^KVM is there but does not work: .* was not seen within/);
});

test.serial('a QEMU that gives up proves that it does not work', async (t) => {
  const { reason } = await chooseAcceleration({ ...emulated, kernel: '/dev/null' });
  t.regex(reason, /^KVM is there but does not work: machine probe: QEMU ended \(.+\)/);
});

test.serial('here it is decided within its bound', async (t) => {
  const { accelerator, reason } = await chooseAcceleration();
  t.true(accelerator === 'kvm' || accelerator === 'tcg');
  t.log(reason);
});
