import test from 'ava';
import fc from 'fast-check';
import { parseGrub } from '../../../src/image/boot-config/grub.js';
import { GRUB_CFG } from '../../osimage/family/xcp-ng-media.js';

test('XCP-ng’s menu: a hypervisor, a kernel and an archive an entry', (t) => {
  const { entries, defaultEntry, skipped } = parseGrub(GRUB_CFG);
  t.deepEqual(
    entries.map(({ title }) => title),
    ['install', 'no-serial', 'safe', 'multipath', 'install-alt', 'shell', 'memtest'],
  );
  t.deepEqual(entries[0]?.starts, {
    kind: 'xen',
    hypervisor: 'boot/xen.gz',
    hypervisorArgs: 'dom0_max_vcpus=1-16 dom0_mem=max:8192M com1=115200,8n1 console=com1,vga',
    kernel: 'boot/vmlinuz',
    args: 'console=hvc0 console=tty0',
    modules: ['install.img'],
  });
  t.deepEqual(entries[6]?.starts, { kind: 'efi', program: 'boot/memtest.efi' });
  t.is(defaultEntry, 0);
  t.deepEqual(skipped, []);
});

const ANACONDA = `set default="1"
function load_video { insmod efi_gop; insmod all_video }
load_video
set gfxpayload=keep
set timeout=60
search --no-floppy --set=root -l 'EL-9'
menuentry 'Install EL 9' --class fedora --class gnu-linux --class gnu --class os {
	linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=EL-9 quiet
	initrdefi /images/pxeboot/initrd.img
}
menuentry 'Test this media & install' --class os --id check {
	linux ($root)/images/pxeboot/vmlinuz inst.stage2=hd:LABEL=EL-9 rd.live.check quiet
	initrd ($root)/images/pxeboot/initrd.img /more.img
}
submenu 'Troubleshooting -->' {
	menuentry 'Rescue' {
		linux /images/pxeboot/vmlinuz "dyndbg=file x +p" inst.rescue
		initrd /images/pxeboot/initrd.img
	}
}
menuentry "Local disk" { chainloader (hd0)+1 }
menuentry 'Firmware' { fwsetup }
`;

test('Anaconda’s menu: submenus, default by number, entries of the disk', (t) => {
  const { entries, defaultEntry, skipped } = parseGrub(ANACONDA);
  t.deepEqual(
    entries.map(({ label, title }) => [label, title]),
    [
      ['', 'Install EL 9'],
      ['check', 'Test this media & install'],
      ['', 'Rescue'],
    ],
  );
  t.is(defaultEntry, 1);
  t.deepEqual(skipped, ['Local disk', 'Firmware']);
  t.deepEqual(entries[1]?.starts, {
    kind: 'linux',
    kernel: 'images/pxeboot/vmlinuz',
    args: 'inst.stage2=hd:LABEL=EL-9 rd.live.check quiet',
    initrds: ['images/pxeboot/initrd.img', 'more.img'],
  });
  t.like(entries[2]?.starts, { args: 'dyndbg="file x +p" inst.rescue' });
});

const body = (text: string): unknown => parseGrub(`menuentry x { ${text}\n}`).entries[0]?.starts;

test('words: quotes, backslashes, variables, comments, line ends', (t) => {
  const linux = { kind: 'linux', kernel: 'k', initrds: [] };
  const table: readonly (readonly [string, string])[] = [
    [`linux /k 'a b' "c d"`, '"a b" "c d"'],
    [`linux /k a\\ b`, '"a b"'],
    [`linux /k 'it'"'"'s'`, `it's`],
    [`linux /k "a\\"b" c`, 'a"b c'],
    [`linux /k "a\\nb"`, 'a\\nb'],
    [`linux /k 'network_config=static:ip=1;gw=2' z`, 'network_config=static:ip=1;gw=2 z'],
    [`linux /k one;two`, 'one'],
    [`linux /k one # two`, 'one'],
    [`linux /k one#two`, 'one#two'],
    [`linux /k one \\\n two`, 'one two'],
    [`set extra="a b"\nlinux /k $extra c`, 'a b c'],
    [`set extra="a b"\nlinux /k "x=$extra" c`, 'x="a b" c'],
    [`linux /k \${nothing} c`, 'c'],
    [`if true; then linux /k yes; fi`, 'yes'],
    [`if true; then\n  linux /k yes\nelse\n  echo\nfi`, 'yes'],
  ];
  for (const [text, args] of table) t.deepEqual(body(text), { ...linux, args }, text);
});

test('what loads Xen: every command, with and without options', (t) => {
  const xen = { kind: 'xen', hypervisor: 'x', hypervisorArgs: 'a', kernel: 'k', args: 'b', modules: ['m'] };
  for (const [load, module] of [
    ['multiboot', 'module'],
    ['multiboot2', 'module2'],
    ['xen_hypervisor', 'xen_module'],
    ['multiboot2 --quirk-bad-kludge', 'module2 --nounzip'],
  ] as const)
    t.deepEqual(body(`${load} /x a\n${module} /k b\n${module} /m`), xen);
  t.is(body('multiboot2 /x a'), undefined);
});

test('default: a title, an id, a number that counts what is no entry, nonsense', (t) => {
  const menu = (wanted: string): number =>
    parseGrub(
      `set default=${wanted}\nmenuentry disk {}\nmenuentry A --id a { linux /1\n}\nmenuentry B { linux /2\n}`,
    ).defaultEntry;
  t.deepEqual(['2', 'B', 'a', '1', '0', '99', 'nope'].map(menu), [1, 1, 0, 0, 0, 0, 0]);
});

test('no text is too odd to be read', (t) => {
  const pieces = fc.constantFrom(
    ...[
      'menuentry',
      'submenu',
      'linux',
      'set',
      '{',
      '}',
      "'",
      '"',
      '\\',
      '$',
      '${x}',
      ';',
      '\n',
      ' ',
      '#',
      'x=1',
      '--id',
      '/k',
    ],
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (words) => {
      for (const text of [words.join(''), words.join(' ')]) {
        const { entries, defaultEntry } = parseGrub(text);
        if (defaultEntry < 0 || (entries.length > 0 && defaultEntry >= entries.length)) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.notThrows(() => parseGrub('{ '.repeat(100_000)));
});
