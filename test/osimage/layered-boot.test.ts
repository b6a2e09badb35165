import test from 'ava';
import { layeredBoot } from '../../src/osimage/layered-boot.js';
import type { BootEntry, Family } from '../../src/osimage/types.js';
import { planEntry } from '../../src/pxe/boot/plan.js';
import { sampleVariables } from '../../src/template/variables.js';

const entry: BootEntry = {
  kind: 'xen',
  label: 'install',
  title: 'install',
  hypervisor: 'boot/xen.gz',
  hypervisorArgs: 'console=com1',
  kernel: 'boot/vmlinuz',
  args: 'no-repo-gpgcheck console=hvc0',
  initrds: ['install.img'],
};
const layers = [
  {
    name: 'rack7',
    snapshot: { bootargs: 'a=1\n{% if answerfile %}answerfile={{ answerfile }}{% endif %}', xenargs: 'b=2' },
  },
];
const { answerfile, ...unanswered } = sampleVariables();

function words(family: Family, variables: object): readonly string[] {
  const [built = entry] = layeredBoot(family, [entry], layers, {});
  return planEntry(built, { ...unanswered, ...variables }).args;
}

test('a word that an answer file excludes is only for machines without one', (t) => {
  t.deepEqual(words('xcp-ng', {}), ['a=1', 'no-repo-gpgcheck', 'console=hvc0']);
  t.deepEqual(words('xcp-ng', { answerfile }), ['a=1', `answerfile=${answerfile}`, 'console=hvc0']);
  t.deepEqual(words('generic', { answerfile }), [
    'no-repo-gpgcheck',
    'console=hvc0',
    'a=1',
    `answerfile=${answerfile}`,
  ]);
});

test('arguments of the hypervisor follow its own', (t) => {
  const [built = entry] = layeredBoot('xcp-ng', [entry], layers, {});
  t.deepEqual(planEntry(built, unanswered), {
    ...planEntry(built, unanswered),
    kind: 'xen',
    hypervisorArgs: ['console=com1', 'b=2'],
  });
});
