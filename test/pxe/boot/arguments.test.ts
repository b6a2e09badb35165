import test from 'ava';
import fc from 'fast-check';
import {
  encodePath,
  grubArguments,
  grubQuote,
  ipxeArguments,
  plainLine,
  plainPath,
  splitArguments,
  syslinuxArguments,
} from '../../../src/pxe/boot/arguments.js';

const words: readonly (readonly [string, readonly string[]])[] = [
  ['', []],
  ['  a   b\n\tc ', ['a', 'b', 'c']],
  ['console=ttyS0,115200 ---', ['console=ttyS0,115200', '---']],
  ['dyndbg="file x +p" quiet', ['dyndbg="file x +p"', 'quiet']],
  ['"a b=c d" e', ['"a b=c d"', 'e']],
  ['a"b c"d', ['a"b c"d']],
];
for (const [text, expected] of words) {
  test(`words of ${JSON.stringify(text)}`, (t) => {
    t.deepEqual(splitArguments(text), expected);
  });
}

for (const [text, message] of [
  ['a "b c', /open double quote/],
  ['a" b', /open double quote/],
  ['ü=1', /printable ASCII/],
  ['a\0b', /printable ASCII/],
  [`x=${'y'.repeat(2046)}`, /2048 bytes long and Linux takes 2047/],
] as const) {
  test(`no kernel line: ${JSON.stringify(text).slice(0, 30)}`, (t) => {
    const error = t.throws(() => splitArguments(text), { name: 'BootError', message });
    t.false(error?.message.includes('\n'));
  });
}

test('what each loader is told', (t) => {
  const line = splitArguments('a=1 dyndbg="file x +p" u=http://h/a?b=1&c=2 $x {y} #z=1 q;r');
  t.is(ipxeArguments(line.slice(0, 5)), 'a=1 dyndbg="file x +p" u=http://h/a?b=1&c=2 $x {y}');
  t.is(syslinuxArguments(line), 'a=1 dyndbg="file x +p" u=http://h/a?b=1&c=2 $x {y} #z=1 q;r');
  t.is(grubArguments(line), "a=1 'dyndbg=file x +p' 'u=http://h/a?b=1&c=2' '$x' '{y}' '#z=1' 'q;r'");
});

const unsayable: readonly (readonly ['iPXE' | 'PXELINUX' | 'GRUB', string])[] = [
  ['iPXE', 'x=${net0/mac}'],
  ['iPXE', 'a ; b'],
  ['iPXE', 'a && b'],
  ['iPXE', 'a || b'],
  ['iPXE', 'a #b'],
  ['iPXE', 'a="b  c"'],
  ['iPXE', 'a="b ; c"'],
  ['PXELINUX', '- a'],
  ['GRUB', "a='b'"],
  ['GRUB', 'a=\\b'],
];
const say = { iPXE: ipxeArguments, PXELINUX: syslinuxArguments, GRUB: grubArguments };
for (const [loader, text] of unsayable) {
  test(`${loader} cannot be told ${text}`, (t) => {
    t.throws(() => say[loader](splitArguments(text)), {
      name: 'BootError',
      message: new RegExp(`${loader} cannot pass`),
    });
  });
}

test('paths', (t) => {
  t.is(encodePath('/a b/c+d/e@f/ü/%/?#'), '/a%20b/c+d/e@f/%C3%BC/%25/%3F%23');
  t.is(plainPath('/x@1/a+b', 'GRUB'), '/x@1/a+b');
  for (const path of ['/a b', '/a,b', '/ü', '/a\nb', ''])
    t.throws(() => plainPath(path, 'GRUB'), { message: /cannot name the file/ });
});

test('an encoded path decodes to itself', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (path) => decodeURIComponent(encodePath(path)) === path),
  );
  t.pass();
});

test('a message is one line that no loader expands', (t) => {
  t.is(plainLine('a\nb ${x} ü'), 'a b $ {x}  ');
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      (text) => /^[\x20-\x7e]*$/.test(plainLine(text)) && !plainLine(text).includes('${'),
    ),
  );
});

test('a GRUB word stays one word', (t) => {
  t.is(grubQuote("it's $5"), "'it'\\''s $5'");
});
