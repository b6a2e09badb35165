import test from 'ava';
import fc from 'fast-check';
import { kernelRelease } from '../../../src/image/drivers/kernel-release.js';
import { kernelOf } from '../../../src/image/drivers/modinfo.js';
import { readFile } from 'node:fs/promises';
import { compileModule, KERNEL } from './fixtures.js';

for (const bits of [32, 64] as const) {
  test(`the kernel of a ${bits}-bit module`, async (t) => {
    t.is(kernelOf(await compileModule({ bits })), KERNEL);
    t.is(
      kernelOf(await compileModule({ bits, kernel: '4.19.0+1', info: ['name=x', 'xvermagic=no'] })),
      '4.19.0+1',
    );
  });
}

/** An ELF file with .modinfo, laid out by hand: of either class and byte order. */
function elf(wide: boolean, little: boolean, info: string): Buffer {
  const names = '\0.modinfo\0.shstrtab\0';
  const [header, each] = wide ? [64, 64] : [52, 40];
  const bytes = Buffer.alloc(header + names.length + info.length + 3 * each);
  const put = (value: number, at: number, size: number): void => {
    if (little) bytes.writeUIntLE(value, at, Math.min(size, 6));
    else bytes.writeUIntBE(value, at + Math.max(0, size - 6), Math.min(size, 6));
  };
  const word = wide ? 8 : 4;
  bytes.write('\x7fELF', 0, 'latin1');
  bytes[4] = wide ? 2 : 1;
  bytes[5] = little ? 1 : 2;
  const sections = header + names.length + info.length;
  put(sections, wide ? 0x28 : 0x20, word);
  put(each, wide ? 0x3a : 0x2e, 2);
  put(3, wide ? 0x3c : 0x30, 2);
  put(2, wide ? 0x3e : 0x32, 2);
  bytes.write(names + info, header, 'latin1');
  const section = (index: number, name: number, offset: number, size: number): void => {
    const at = sections + index * each;
    put(name, at, 4);
    put(offset, at + (wide ? 0x18 : 0x10), word);
    put(size, at + (wide ? 0x20 : 0x14), word);
  };
  section(1, 1, header + names.length, info.length);
  section(2, 10, header, names.length);
  return bytes;
}

for (const wide of [false, true]) {
  for (const little of [false, true]) {
    const title = `${wide ? 64 : 32}-bit, ${little ? 'little' : 'big'}-endian`;
    test(`${title}: the first word of vermagic`, (t) => {
      t.is(kernelOf(elf(wide, little, 'name=a\0vermagic=5.14.0-1.el9.s390x SMP\0')), '5.14.0-1.el9.s390x');
      t.is(kernelOf(elf(wide, little, 'name=a\0')), undefined);
      t.is(kernelOf(elf(wide, little, 'vermagic=../../x SMP\0')), undefined);
    });

    test(`${title}: damaged in any way, it is a module or it is none`, (t) => {
      const whole = elf(wide, little, 'name=a\0vermagic=6.1 SMP\0');
      const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), {
        maxLength: 6,
      });
      fc.assert(
        fc.property(damage, fc.nat(whole.length), (changes, length) => {
          const bytes = Buffer.from(whole);
          for (const [at, value] of changes) bytes[at] = value;
          kernelOf(bytes);
          kernelOf(bytes.subarray(0, length));
        }),
        { seed: 2, numRuns: 2000 },
      );
      t.pass();
    });
  }
}

test('what is no module has no kernel', (t) => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('\x7fELF'),
    Buffer.from('#!/bin/sh\n'),
    Buffer.alloc(4096),
  ])
    t.is(kernelOf(bytes), undefined);
});

test('a kernel’s file tells its release', async (t) => {
  const kernel = await readFile(
    '/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux',
  );
  t.regex(kernelRelease(kernel.subarray(0, 65536)) ?? '', /^6\.1\.0-\d+-amd64$/);
  t.is(kernelRelease(Buffer.alloc(65536)), undefined);
  t.is(kernelRelease(kernel.subarray(0, 100)), undefined);
});
