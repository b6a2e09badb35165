import test from 'ava';
import fc from 'fast-check';
import { normalizePath } from '../../../src/pxe/tftp/path.js';

const rows: readonly [text: string, path: string | undefined][] = [
  ['snponly.efi', 'snponly.efi'],
  ['/snponly.efi', 'snponly.efi'],
  ['//boot//a', 'boot/a'],
  ['\\boot\\a', 'boot/a'],
  ['./a/./b/', 'a/b'],
  ['..foo', '..foo'],
  ['a..', 'a..'],
  ['.treeinfo', '.treeinfo'],
  ['grub/x+y é', 'grub/x+y é'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['', undefined],
  ['/', undefined],
  ['.', undefined],
  ['..', undefined],
  ['../etc/passwd', undefined],
  ['a/../../etc/passwd', undefined],
  ['a/../b', undefined],
  ['..\\..\\etc\\passwd', undefined],
  ['a\\..\\b', undefined],
  ['a\0b', undefined],
  ['a\nb', undefined],
  ['x'.repeat(1025), undefined],
];
for (const [text, path] of rows) {
  test(`${JSON.stringify(text.slice(0, 30))} is ${path ?? 'refused'}`, (t) => {
    t.is(normalizePath(Buffer.from(text)), path);
  });
}

test('text that is not UTF-8 is refused', (t) => t.is(normalizePath(Buffer.of(0x61, 0xff)), undefined));

test('what comes out stays below the root, and is left alone by a second pass', (t) => {
  const piece = fc.oneof(fc.constantFrom('..', '.', '/', '\\', '//', '\0', '%2e%2e', 'a', 'é'), fc.string());
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const path = normalizePath(Buffer.from(pieces.join('')));
      if (path === undefined) return;
      t.false(path.startsWith('/'));
      t.false(path.split('/').some((part) => part === '..' || part === '.' || part === ''));
      t.notRegex(path, /[\\\0]/);
      t.is(normalizePath(Buffer.from(path)), path);
    }),
  );
});
