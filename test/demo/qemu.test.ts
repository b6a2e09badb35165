import test from 'ava';
import { machineArguments, type MachineSpec } from '../../src/demo/qemu.js';

const spec: MachineSpec = {
  name: 'n1',
  mac: '52:54:00:77:00:01',
  firmware: 'bios',
  boot: { kind: 'network' },
  accelerator: 'tcg',
};
const place = { tap: 'tap0', variables: '/tmp/v,1.fd' };

/** The values of every `option` on the command line. */
function valuesOf(line: readonly string[], option: string): string[] {
  return line.flatMap((word, at) => (line[at - 1] === option ? [word] : []));
}

test('no machine has a display, a monitor or default devices, and a reset ends it', (t) => {
  for (const firmware of ['bios', 'uefi'] as const) {
    const line = machineArguments({ ...spec, firmware }, place);
    t.deepEqual(valuesOf(line, '-display'), ['none']);
    t.deepEqual(valuesOf(line, '-monitor'), ['none']);
    for (const flag of ['-nodefaults', '-no-user-config', '-no-reboot']) t.true(line.includes(flag), flag);
  }
});

test('a BIOS machine boots by the ROM of its card', (t) => {
  const line = machineArguments(spec, place);
  t.is(valuesOf(line, '-device')[0], 'virtio-net-pci,netdev=lan,mac=52:54:00:77:00:01,bootindex=1');
  t.deepEqual(valuesOf(line, '-drive'), []);
});

test('a UEFI machine has OVMF, its own variables, and no ROM', (t) => {
  const line = machineArguments({ ...spec, firmware: 'uefi' }, place);
  t.is(valuesOf(line, '-device')[0], 'virtio-net-pci,netdev=lan,mac=52:54:00:77:00:01,bootindex=1,romfile=');
  t.deepEqual(valuesOf(line, '-drive'), [
    'if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd',
    'if=pflash,unit=1,format=raw,file=/tmp/v,,1.fd',
  ]);
  t.deepEqual(valuesOf(line, '-fw_cfg'), ['name=opt/org.tianocore/IPv6PXESupport,string=n']);
});

for (const kind of ['cdrom', 'usb'] as const) {
  test(`a ${kind} boots first and read-only, the card not at all`, (t) => {
    const line = machineArguments({ ...spec, boot: { kind, path: '/tmp/a,b.iso' } }, place);
    const [drive = ''] = valuesOf(line, '-drive');
    t.true(drive.includes('readonly=on') && drive.endsWith('file=/tmp/a,,b.iso'), drive);
    t.deepEqual(valuesOf(line, '-device').filter((device) => device.includes('bootindex')).length, 1);
    t.true(
      valuesOf(line, '-device').some(
        (device) => device.includes('drive=medium') && device.endsWith('bootindex=1'),
      ),
    );
  });
}

test('the accelerator chooses the processor', (t) => {
  t.deepEqual(valuesOf(machineArguments({ ...spec, accelerator: 'kvm' }, place), '-cpu'), ['host']);
  t.deepEqual(valuesOf(machineArguments(spec, place), '-accel'), ['tcg,thread=multi']);
});
