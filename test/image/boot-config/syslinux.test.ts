import test from 'ava';
import fc from 'fast-check';
import { parseSyslinux } from '../../../src/image/boot-config/syslinux.js';
import { ISOLINUX_CFG } from '../../osimage/family/xcp-ng-media.js';

test('XCP-ng’s menu: mboot.c32 with three parts', (t) => {
  const { entries, defaultEntry } = parseSyslinux(ISOLINUX_CFG, 'boot/isolinux');
  t.deepEqual(
    entries.map(({ label }) => label),
    ['install', 'no-serial', 'safe', 'multipath', 'install-alt', 'shell', 'memtest'],
  );
  t.deepEqual(entries[2]?.starts, {
    kind: 'xen',
    hypervisor: 'boot/xen.gz',
    hypervisorArgs:
      'nosmp noreboot no-mce dom0_max_vcpus=1-16 dom0_mem=max:8192M com1=115200,8n1 console=com1,vga',
    kernel: 'boot/vmlinuz',
    args: 'console=hvc0 console=tty0',
    modules: ['install.img'],
  });
  t.deepEqual(entries[6]?.starts, { kind: 'linux', kernel: 'boot/memtest.bin', args: '', initrds: [] });
  t.is(defaultEntry, 0);
});

const ANACONDA = `default vesamenu.c32
timeout 600
display boot.msg
menu title EL 9
label linux
  menu label ^Install EL 9
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=EL-9 quiet

label check
  menu label Test this ^media & install
  menu default
  KERNEL vmlinuz
  TEXT HELP
    label not-one
  ENDTEXT
  INITRD ../images/one.img,/images/two.img
  append inst.stage2=hd:LABEL=EL-9 rd.live.check quiet
menu begin ^Troubleshooting
label memtest86
  menu label Run a ^memory test
  kernel memtest
label local
  localboot 0xffff
label tool
  com32 hdt.c32
menu end
`;

test('Anaconda’s menu: paths beside the menu, titles, the default of the menu', (t) => {
  const { entries, defaultEntry, skipped } = parseSyslinux(ANACONDA, 'isolinux');
  t.deepEqual(
    entries.map(({ label, title }) => [label, title]),
    [
      ['linux', 'Install EL 9'],
      ['check', 'Test this media & install'],
      ['memtest86', 'Run a memory test'],
    ],
  );
  t.is(defaultEntry, 1);
  t.deepEqual(skipped, ['local', 'tool']);
  t.deepEqual(entries[0]?.starts, {
    kind: 'linux',
    kernel: 'isolinux/vmlinuz',
    args: 'inst.stage2=hd:LABEL=EL-9 quiet',
    initrds: ['isolinux/initrd.img'],
  });
  t.like(entries[1]?.starts, { initrds: ['images/one.img', 'images/two.img'] });
});

test('defaults: ONTIMEOUT before DEFAULT; APPEND of all entries, and none with a dash', (t) => {
  const { entries, defaultEntry } = parseSyslinux(
    'DEFAULT a\nONTIMEOUT b\nAPPEND quiet\nLABEL a\n LINUX /k\nLABEL b\n KERNEL /k\n APPEND -\nLABEL c\n KERNEL mboot.c32\n APPEND x\n',
    '',
  );
  t.is(defaultEntry, 1);
  t.deepEqual(
    entries.map(({ starts }) => starts.kind === 'linux' && starts.args),
    ['quiet', ''],
  );
});

test('no text is too odd to be read', (t) => {
  const pieces = fc.constantFrom(
    'label',
    'kernel',
    'append',
    'menu',
    'default',
    '---',
    '\n',
    ' ',
    'mboot.c32',
    '../..',
    'text help',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (words) => {
      const { entries } = parseSyslinux(words.join(' '), 'isolinux');
      return entries.every(({ starts }) => starts.kind !== 'linux' || !starts.kernel.includes('..'));
    }),
    { numRuns: 500 },
  );
  t.pass();
});
