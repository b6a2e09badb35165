import test from 'ava';
import { keepBootable } from '../../../src/osimage/family/bootable.js';
import type { SourceFile } from '../../../src/osimage/source/source.js';
import type { BootEntry } from '../../../src/osimage/types.js';

const memtest: BootEntry = {
  kind: 'linux',
  label: 'memtest',
  title: 'memtest',
  kernel: 'boot/memtest.bin',
  efiProgram: 'boot/memtest.efi',
  initrds: [],
  args: '',
};
const install: BootEntry = {
  ...memtest,
  label: 'install',
  kernel: 'vmlinuz',
  efiProgram: 'x.efi',
  initrds: ['initrd'],
};

const media = (...paths: string[]): Map<string, SourceFile> =>
  new Map(paths.map((path) => [path, { path, size: 1, where: path, async *read() {} }]));

test('entries whose files are all there stay as they are', (t) => {
  const there = media('boot/memtest.bin', 'boot/memtest.efi', 'vmlinuz', 'initrd', 'x.efi');
  t.deepEqual(keepBootable([memtest, install], there), { entries: [memtest, install], notes: [] });
});

test('a program for UEFI that is missing leaves an entry for BIOS', (t) => {
  const { entries, notes } = keepBootable([memtest], media('boot/memtest.bin'));
  const { efiProgram: _program, ...rest } = memtest;
  t.deepEqual(entries, [{ ...rest, firmware: 'bios' }]);
  t.deepEqual(notes, [
    'boot entry memtest loads boot/memtest.efi on UEFI, which is not there; it is for BIOS only',
  ]);
});

test('an entry that lacks a kernel or an archive is left out and named', (t) => {
  const { entries, notes } = keepBootable([install, memtest], media('vmlinuz', 'x.efi', 'boot/memtest.efi'));
  t.deepEqual(entries, []);
  t.deepEqual(notes, [
    'boot entry install loads initrd, which is not there; it is left out',
    'boot entry memtest loads boot/memtest.bin, which is not there; it is left out',
  ]);
});
