import { readFileSync } from 'node:fs';
import test from 'ava';
import { initrdRoom, KERNEL_HEADER } from '../../src/image/kernel-room.js';
import { kernelHead } from './kernel-head.js';

for (const [title, head, room] of [
  ['a kernel of today', kernelHead({}), 2 ** 31 - 0x4000000],
  [
    'a kernel that wants more than there is',
    kernelHead({ initrdAddrMax: 0x37ffffff, initSize: 0x7fffffff }),
    0,
  ],
  ['protocol 2.09, which does not say where the kernel lies', kernelHead({ version: 0x209 }), undefined],
  ['another magic', kernelHead({ magic: 'ELF!' }), undefined],
  ['a file that ends early', kernelHead({}).subarray(0, KERNEL_HEADER - 1), undefined],
  ['nothing', Buffer.alloc(0), undefined],
] as const) {
  test(`room beside ${title}: ${room ?? 'unknown'}`, (t) => {
    t.is(initrdRoom(head), room);
  });
}

test('room beside the Debian installer’s kernel: nearly 2 GiB', (t) => {
  const file = '/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux';
  const room = initrdRoom(readFileSync(file)) ?? 0;
  t.true(room > 1.8 * 2 ** 30 && room < 2 ** 31, String(room));
});
