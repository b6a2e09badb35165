import test from 'ava';
import { isoArguments } from '../../src/osimage/family/iso-arguments.js';
import { layeredBoot } from '../../src/osimage/layered-boot.js';
import type { BootEntry } from '../../src/osimage/types.js';

const xen: BootEntry = {
  kind: 'xen',
  label: 'install',
  title: 'install',
  hypervisor: 'boot/xen.gz',
  hypervisorArgs: 'dom0_mem=1G',
  kernel: 'boot/vmlinuz',
  args: 'console=hvc0 console=tty0',
  initrds: ['install.img'],
};
const linux: BootEntry = {
  kind: 'linux',
  label: 'x',
  title: 'x',
  kernel: 'k',
  args: 'quiet',
  initrds: ['i'],
};
const memtest: BootEntry = { kind: 'linux', label: 'm', title: 'm', kernel: 'm', args: '', initrds: [] };
const layers = [
  { name: 'high', snapshot: { bootargs: 'c=3\nd=4\n', xenargs: 'loglvl=all' } },
  { name: 'low', snapshot: { bootargs: 'a=1 b=2\n' } },
];

test('layers’ words stand behind the entry’s own, those of higher layers last', (t) => {
  t.deepEqual(
    layeredBoot('generic', [linux, memtest, xen], layers, {}).map(({ args }) => args),
    ['quiet a=1 b=2 c=3 d=4', 'a=1 b=2 c=3 d=4', 'console=hvc0 console=tty0 a=1 b=2 c=3 d=4'],
  );
});

test('for XCP-ng they stand in front, and a memory test keeps its line', (t) => {
  t.deepEqual(
    layeredBoot('xcp-ng', [xen, memtest], layers, {}).map(({ args }) => args),
    ['a=1 b=2 c=3 d=4 console=hvc0 console=tty0', ''],
  );
  t.like(layeredBoot('xcp-ng', [xen], layers, {})[0], { hypervisorArgs: 'dom0_mem=1G loglvl=all' });
});

test('a mistake in a template names the layer', (t) => {
  const wrong = { name: 'mine', snapshot: { bootargs: 'x={{ nope }}' } };
  t.throws(() => layeredBoot('generic', [linux], [wrong], {}), {
    message: /^mine\/bootargs line 1: undefined variable/,
  });
});

test('words on an ISO', (t) => {
  const tree = 'http://192.0.2.1/tree';
  const words = [`inst.repo=${tree}`, 'quiet'];
  const place = { volumeId: 'EL 9', netinstall: false, tree };
  t.deepEqual(isoArguments('el', linux, words, place), ['inst.stage2=hd:LABEL=EL\\x209', 'quiet']);
  t.deepEqual(isoArguments('el', linux, words, { ...place, volumeId: 'EL', netinstall: true }), [
    'inst.stage2=hd:LABEL=EL',
    `inst.repo=${tree}`,
    'quiet',
  ]);
  t.deepEqual(isoArguments('xcp-ng', xen, ['a'], { ...place, netinstall: true }), ['netinstall', 'a']);
  t.deepEqual(isoArguments('xcp-ng', memtest, [], { ...place, netinstall: true }), []);
  t.deepEqual(isoArguments('xcp-ng', xen, ['a'], place), ['a']);
  const answer = 'file:///answers';
  const given = [`preseed/url=${answer}`, `inst.ks=${answer}`, `answerfile=${answer}`];
  t.deepEqual(
    isoArguments('debian-installer', linux, given, { ...place, answer })[0],
    'preseed/file=/answers',
  );
  t.deepEqual(
    isoArguments('el', linux, given, { ...place, answer })[1],
    'inst.ks=hd:LABEL=EL\\x209:/answers',
  );
  t.deepEqual(isoArguments('xcp-ng', xen, given, { ...place, answer }), given);
  t.deepEqual(isoArguments('generic', linux, words, { ...place, netinstall: true }), words);
});
