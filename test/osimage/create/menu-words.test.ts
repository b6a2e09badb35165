import test from 'ava';
import { grubWord, isMenu, withKernelWords } from '../../../src/osimage/create/menu-words.js';
import { parseGrub } from '../../../src/image/boot-config/grub.js';
import { parseSyslinux } from '../../../src/image/boot-config/syslinux.js';
import { grubConfig, isolinuxConfig } from '../../product/boot-configs.js';

const table: readonly (readonly [string, string, readonly string[], string])[] = [
  ['behind the kernel', ' module2 /boot/vmlinuz a=1', ['x', 'y=2'], ' module2 /boot/vmlinuz x y=2 a=1'],
  ['a kernel at the end of the line', 'module2 /boot/vmlinuz', ['x'], 'module2 /boot/vmlinuz x'],
  [
    'another directory',
    'append /boot/xen.gz --- /boot/alt/vmlinuz a',
    ['x'],
    'append /boot/xen.gz --- /boot/alt/vmlinuz x a',
  ],
  [
    'every line, and no comment',
    '/vmlinuz\n# /vmlinuz\n/vmlinuz a',
    ['x'],
    '/vmlinuz x\n# /vmlinuz\n/vmlinuz x a',
  ],
  ['no longer name', 'linux /boot/vmlinuz-4.19 a', ['x'], 'linux /boot/vmlinuz-4.19 a'],
  // Where create-iso's sed stops, or writes something else.
  [
    'characters that mean something to sed',
    '/boot/vmlinuz a',
    ['b=c|d', 'e=&', 'f=\\1', 'g=$1'],
    '/boot/vmlinuz b=c|d e=& f=\\1 g=$1 a',
  ],
  ['nothing to add', '/boot/vmlinuz a', [], '/boot/vmlinuz a'],
];

for (const [what, menu, words, expected] of table)
  test(what, (t) => {
    t.is(withKernelWords(menu, words), expected);
  });

test('every entry of a medium has the words, on BIOS and on UEFI', (t) => {
  const menus = [
    parseSyslinux(withKernelWords(isolinuxConfig, ['first']), 'boot/isolinux'),
    parseGrub(withKernelWords(grubConfig, ['first'])),
  ];
  for (const { entries } of menus) {
    t.true(entries.length >= 5);
    for (const { starts } of entries) t.regex(starts.kind === 'xen' ? starts.args : '', /^first console=/);
  }
});

test('words that mean something to GRUB are the kernel’s all the same', (t) => {
  const words = [
    'a"b',
    'c|d',
    '&',
    '$x',
    '{',
    '}',
    ';',
    '`y`',
    'dyndbg="file',
    '*+p"',
    "it's",
    '#z',
    'é',
    '\\',
  ];
  const { entries } = parseGrub(withKernelWords(grubConfig, words.map(grubWord)));
  t.true(entries.length >= 5);
  for (const { starts } of entries) {
    if (starts.kind !== 'xen') return t.fail(starts.kind);
    t.true(starts.args.startsWith(`${words.join(' ')} console=`), starts.args);
    t.deepEqual(starts.modules, ['install.img']);
  }
});

test('which files are menus', (t) => {
  const paths = [
    'boot/isolinux/isolinux.cfg',
    'EFI/xenserver/grub.cfg',
    'EFI/xenserver/grub-usb.cfg',
    '.treeinfo',
    'boot/menu.cfg',
  ];
  t.deepEqual(paths.filter(isMenu), paths.slice(0, 3));
});
