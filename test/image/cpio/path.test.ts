import test from 'ava';
import fc from 'fast-check';
import {
  canonicalPath,
  isSafe,
  joinPath,
  parentOf,
  pathFromText,
  pathToText,
  ROOT,
  type ArchivePath,
} from '../../../src/image/cpio/path.js';
import { ImageError } from '../../../src/image/errors.js';

for (const [raw, canonical] of [
  ['.', ''],
  ['', ''],
  ['/', ''],
  ['./', ''],
  ['etc/hello', 'etc/hello'],
  ['./etc/hello', 'etc/hello'],
  ['/etc//hello/', 'etc/hello'],
  ['././a/./b/.', 'a/b'],
  ['../a', '../a'],
  ['a/../b', 'a/../b'],
  ['...', '...'],
  ['.a/b.', '.a/b.'],
] as const) {
  test(`the name ${JSON.stringify(raw)} is the path ${JSON.stringify(canonical)}`, (t) => {
    t.is(canonicalPath(raw), canonical as ArchivePath);
  });
}

test('a canonical path has plain components only, and is its own canonical form', (t) => {
  const raw = fc
    .array(fc.constantFrom('', '.', '..', 'a', 'b.', '.c', '\xff'))
    .map((parts) => parts.join('/'));
  fc.assert(
    fc.property(raw, (name) => {
      const path = canonicalPath(name);
      t.deepEqual(
        path === ROOT ? [] : path.split('/'),
        name.split('/').filter((part) => part !== '' && part !== '.'),
      );
      t.is(canonicalPath(path), path);
      t.is(isSafe(path), !name.split('/').includes('..'));
    }),
    { seed: 1 },
  );
});

for (const text of ['../etc/passwd', '/a/../b', 'a/..', 'a\0b']) {
  test(`${JSON.stringify(text)} is refused as a path`, (t) => {
    const error = t.throws(() => pathFromText(text), { instanceOf: ImageError });
    t.is(error.code, 'UNSAFE_PATH');
    t.false(error.message.includes('\n'));
  });
}

for (const [text, shown] of [
  ['/etc/hello', '/etc/hello'],
  ['grüße/日本', '/grüße/日本'],
  ['new\nline', '/new\\x0aline'],
  ['', '/'],
  ['a\\x0ab', '/a\\x0ab'],
  ['\\xff\\x41', '/\\xffA'],
  ['dev\\\\x2dby', '/dev\\\\x2dby'],
  ['\\xef\\xbf\\xbd', '/\\xef\\xbf\\xbd'],
] as const) {
  test(`the path of ${JSON.stringify(text)} is shown as ${shown}`, (t) => {
    t.is(pathToText(pathFromText(text)), shown);
  });
}

test('every path is read back from what is shown', (t) => {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 6 })
    .map((bytes) => Buffer.from(bytes).toString('latin1'));
  const interesting = fc.stringMatching(/^[\\xaf0\n\xc3\xbc/]{1,8}$/);
  fc.assert(
    fc.property(fc.oneof(name, interesting), (rawName) => {
      const path = canonicalPath(rawName);
      fc.pre(isSafe(path));
      t.is(pathFromText(pathToText(path)), path);
    }),
  );
  t.pass();
});

for (const text of ['a\\b', 'a\\', '\\x1', '\\x00', '\\x2e\\x2e/etc', 'a\ufffd']) {
  test(`${JSON.stringify(text)} is no path`, (t) => {
    t.throws(() => pathFromText(text), { instanceOf: ImageError, code: 'UNSAFE_PATH' });
  });
}

test('bytes that are not UTF-8 are shown in hexadecimal', (t) => {
  t.is(pathToText('a\xff/\xc3' as ArchivePath), '/a\\xff/\\xc3');
});

test('parents and joins', (t) => {
  t.is(parentOf('a/b/c' as ArchivePath), 'a/b' as ArchivePath);
  t.is(parentOf('a' as ArchivePath), ROOT);
  t.is(parentOf(ROOT), ROOT);
  t.is(joinPath(ROOT, 'a/b'), 'a/b' as ArchivePath);
  t.is(joinPath('a' as ArchivePath, './b//c'), 'a/b/c' as ArchivePath);
});
