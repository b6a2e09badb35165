import test from 'ava';
import { parseGrub } from '../../../src/image/boot-config/grub.js';
import { parseSyslinux } from '../../../src/image/boot-config/syslinux.js';
import { mergeMenus } from '../../../src/osimage/family/menus.js';
import { GRUB_CFG, ISOLINUX_CFG } from './xcp-ng-media.js';

const bios = parseSyslinux(ISOLINUX_CFG, 'boot/isolinux');
const efi = parseGrub(GRUB_CFG);

test('menus that agree are one description without a note', (t) => {
  const { entries, notes } = mergeMenus(bios, efi);
  t.deepEqual(notes, []);
  t.deepEqual(
    entries.map(({ label }) => label),
    ['install', 'no-serial', 'safe', 'multipath', 'install-alt', 'shell', 'memtest'],
  );
  t.deepEqual(entries[6], {
    kind: 'linux',
    label: 'memtest',
    title: 'memtest',
    kernel: 'boot/memtest.bin',
    initrds: [],
    args: '',
    efiProgram: 'boot/memtest.efi',
  });
});

test('a change to one menu is told, word by word, and the BIOS menu’s word is taken', (t) => {
  const other = parseGrub(
    GRUB_CFG.replace('console=com1,vga', 'console=vga').replace('bash-shell', 'bash-shell sshpassword=x'),
  );
  const { entries, notes } = mergeMenus(bios, other);
  t.deepEqual(notes, [
    'boot entry install: hypervisor arguments differ: BIOS has console=com1,vga, EFI has console=vga; those of BIOS are taken',
    'boot entry shell: kernel arguments differ: BIOS has another order, EFI has sshpassword=x; those of BIOS are taken',
  ]);
  t.deepEqual(entries, mergeMenus(bios, efi).entries);
});

test('entries of one menu only, other defaults, names that meet', (t) => {
  const one = parseSyslinux(
    'default b\nlabel a\n linux /a\n initrd /i\nlabel b\n linux /b\n initrd /i\n',
    '',
  );
  const other = parseGrub(
    `set default=1\nmenuentry "Start A!" { linux /a\ninitrd /i\n}\nmenuentry "B" { linux /other\ninitrd /i\n}\nmenuentry "b" { linux /c\ninitrd /i\n}`,
  );
  const { entries, notes } = mergeMenus(one, other);
  t.deepEqual(
    entries.map(({ label, title, kernel }) => [label, title, kernel]),
    [
      ['b', 'B', 'b'],
      ['a', 'Start A!', 'a'],
      ['b-2', 'b', 'c'],
    ],
  );
  t.deepEqual(notes, [
    'boot entry b: kernel differ: BIOS has b, EFI has other; those of BIOS are taken',
    'boot entry b-2 is in the EFI menu only',
  ]);
});

test('one menu alone', (t) => {
  t.deepEqual(mergeMenus(undefined, efi).notes, []);
  t.is(mergeMenus(undefined, efi).entries.length, 7);
  t.like(mergeMenus(undefined, efi).entries[6], { kernel: 'boot/memtest.efi', firmware: 'uefi' });
  t.like(mergeMenus(bios, undefined).entries[6], { kernel: 'boot/memtest.bin', firmware: 'bios' });
  t.deepEqual(mergeMenus(undefined, undefined), { entries: [], notes: [] });
});

test('vendor’s words are no template', (t) => {
  const menu = parseSyslinux('label x\n linux /k\n append a={{b}} c\n', '');
  t.is(mergeMenus(menu, undefined).entries[0]?.args, '{% raw %}a={{b}} c{% endraw %}');
});
