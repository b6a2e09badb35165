import test from 'ava';
import { readXcatPath } from '../../../src/pxe/xcat-layout/path.js';

for (const [path, expected] of [
  ['xcat/xnba/nodes/n01', { kind: 'config', loader: 'xnba', of: { node: 'n01' } }],
  ['xcat/xnba/nodes/n01.uefi', { kind: 'config', loader: 'xnba-uefi', of: { node: 'n01' } }],
  ['xcat/xnba/nodes/n01.cl.org.uefi', { kind: 'config', loader: 'xnba-uefi', of: { node: 'n01.cl.org' } }],
  ['xcat/xnba/nets/10.1.0.0_16', { kind: 'discovery' }],
  ['xcat/xnba/nets/10.1.0.0_16.uefi', { kind: 'discovery' }],
  ['xcat/xnba.kpxe', { kind: 'xnba-loader', file: 'xnba.kpxe' }],
  ['xcat/osimage/r9-compute/kernel', { kind: 'boot-file', osimage: 'r9-compute', part: 'kernel' }],
  [
    'xcat/osimage/r9-compute/initrd-stateless.gz',
    { kind: 'boot-file', osimage: 'r9-compute', part: 'initrd' },
  ],
  ['xcat/osimage/r9-compute/passwd', undefined],
  ['pxelinux.cfg/0A010101', { kind: 'config', loader: 'pxelinux', of: { address: '10.1.1.1' } }],
  ['pxelinux.cfg/n01', { kind: 'config', loader: 'pxelinux', of: { node: 'n01' } }],
  ['pxelinux.cfg/FFFFFFFF', { kind: 'config', loader: 'pxelinux', of: { node: 'FFFFFFFF' } }],
  ['boot/grub2/n01', { kind: 'config', loader: 'grub', of: { node: 'n01' } }],
  ['boot/grub2/grub.cfg-0a010101', { kind: 'config', loader: 'grub', of: { address: '10.1.1.1' } }],
  ['boot/grub2/grub2-n01', { kind: 'grub', node: 'n01' }],
  ['boot/grub2/grub.cfg', undefined],
  ['xcat/xnba/nodes/', undefined],
  ['etc/passwd', undefined],
] as const) {
  test(path, (t) => {
    t.deepEqual(readXcatPath(path), expected);
  });
}
