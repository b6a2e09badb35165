import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Lab } from '../../src/demo/lab.js';
import { startMachine } from '../../src/demo/machine.js';
import type { MachineSpec } from '../../src/demo/qemu.js';

const spec: MachineSpec = {
  name: `t${process.pid}`,
  mac: '52:54:00:77:00:01',
  firmware: 'bios',
  boot: { kind: 'network' },
  accelerator: 'tcg',
  memoryMb: 256,
};
const withinMs = 60_000;

let lab: Lab;
let dir: string;

test.before(async () => {
  lab = await Lab.open();
  dir = await mkdtemp(join(tmpdir(), 'rackboot-test-'));
});

test.after.always(async () => {
  await lab?.close();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

/** What a machine of ours may leave: its temporary directory, and its tap. */
async function leftovers(): Promise<string[]> {
  const directories = (await readdir(tmpdir())).filter((name) => name.startsWith(`rackboot-${spec.name}-`));
  const { stdout } = await lab.run(['ip', '-o', 'link', 'show', 'master', lab.interface]);
  return [...directories, ...stdout.split('\n').filter((line) => line !== '')];
}

test.serial('a BIOS machine runs its card’s ROM, and leaves nothing when it is closed', async (t) => {
  const serialFile = join(dir, 'serial.log');
  const machine = await startMachine(lab, spec, { serialFile });
  t.is((await leftovers()).length, 2);
  await machine.waitFor(/^iPXE .* Open Source Network Boot Firmware/m, { withinMs });
  await machine.close();
  await machine.close();
  t.deepEqual(await machine.ended, { kind: 'killed', message: 'closed' });
  t.deepEqual(await leftovers(), []);
  t.throws(() => process.kill(machine.pid, 0), { code: 'ESRCH' });
  t.true((await readFile(serialFile, 'latin1')).includes('Open Source Network Boot Firmware'));
});

test.serial('a UEFI machine tries its card by OVMF’s own driver', async (t) => {
  const machine = await startMachine(lab, { ...spec, firmware: 'uefi', memoryMb: 384 });
  try {
    await machine.waitFor(/UEFI PXEv4 \(MAC:525400770001\)|Start PXE over IPv4/, { withinMs });
    t.notRegex(machine.serial.text, /iPXE/);
  } finally {
    await machine.close();
  }
  t.deepEqual(await leftovers(), []);
});

test.serial('a machine does not outlive its time', async (t) => {
  const machine = await startMachine(lab, spec, { lifetimeMs: 200 });
  t.deepEqual(await machine.ended, { kind: 'killed', message: 'its time was over' });
  await t.throwsAsync(machine.waitFor(/Linux/), { code: 'MACHINE_FAILED', message: /its time was over/ });
  t.deepEqual(await leftovers(), []);
});

test.serial('a machine that QEMU does not start says why', async (t) => {
  const machine = await startMachine(lab, {
    ...spec,
    boot: { kind: 'cdrom', path: join(dir, 'missing.iso') },
  });
  const end = await machine.ended;
  t.is(end.kind, 'failed');
  t.regex(end.message, /missing\.iso.*No such file/);
  await machine.close();
  t.deepEqual(await leftovers(), []);
});

test.serial('a closed lab starts no machine', async (t) => {
  const closed = await Lab.open();
  await closed.close();
  await t.throwsAsync(startMachine(closed, spec), { code: 'LAB_FAILED' });
  t.deepEqual(await leftovers(), []);
});
