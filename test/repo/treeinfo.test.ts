import test from 'ava';
import fc from 'fast-check';
import {
  formerKeys,
  parseTreeinfo,
  productOf,
  withChecksum,
  withKey,
  withoutChecksum,
  withoutKeys,
} from '../../src/repo/treeinfo.js';

const MINIMAL = `[system-v1]
platform_name = XCP
platform_version = 3.4.0
product_name = XCP-ng
product_version = 8.3.0
[build]
number = site1
[keys]
key1 = RPM-GPG-KEY-site
`;

const OLD = `# comment
[platform]
name: XCP
version=3.2.1

[branding]
name=XCP-ng
version=8.2.1
[build]
number=release/yangtze/master/58
[keys]
key1 = RPM-GPG-KEY-CH-8
key2 = RPM-GPG-KEY-CH-8-LCM
`;

test('the trees of both releases are read', (t) => {
  t.deepEqual(productOf(parseTreeinfo(MINIMAL, 'x')), { name: 'XCP-ng', version: '8.3.0' });
  t.deepEqual(parseTreeinfo(MINIMAL, 'x').keys, ['RPM-GPG-KEY-site']);
  t.deepEqual(productOf(parseTreeinfo(OLD.replaceAll('\n', '\r\n'), 'x')), {
    name: 'XCP-ng',
    version: '8.2.1',
  });
  t.deepEqual(parseTreeinfo(OLD, 'x').keys, ['RPM-GPG-KEY-CH-8', 'RPM-GPG-KEY-CH-8-LCM']);
  t.deepEqual(parseTreeinfo('[Keys]\nkey1 = x\n', 'x').keys, []);
  t.is(productOf(parseTreeinfo('', 'x')), undefined);
  t.is(parseTreeinfo('[a]\nKey = one\n two\n', 'x').sections.get('a')?.get('key'), 'one\ntwo');
});

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['a byte order mark', `\uFEFF${MINIMAL}`, /byte order mark/],
  ['bytes that are no UTF-8', '[keys]\nkey1 = \uFFFD\n', /UTF-8/],
  ['a percent sign', MINIMAL.replace('site1', 'site%1'), /%/],
  ['a product without a name', MINIMAL.replace(/product_name.*\n/, ''), /no product_name/],
  ['a build without a number', MINIMAL.replace(/number.*\n/, ''), /no number/],
  ['a section twice', `${MINIMAL}[build]\nnumber=2\n`, /second section \[build\]/],
  ['a key twice', MINIMAL.replace('number = site1', 'number = 1\nNumber = 2'), /second number/],
  ['defaults', `[DEFAULT]\na = b\n${MINIMAL}`, /\[DEFAULT\]/],
  ['a value before any section', `a = b\n${MINIMAL}`, /before any/],
  ['a line that is none', '[a]\nword\n', /x:2: .*no "key = value"/],
];

for (const [what, text, message] of REFUSED) {
  test(`${what} is refused`, (t) => {
    t.throws(() => parseTreeinfo(text, 'x'), { code: 'BAD_TREEINFO', message });
  });
}

test('a key takes the place of those that were listed, and comes off again', (t) => {
  const signed = withKey(OLD, 'RPM-GPG-KEY-site');
  t.deepEqual(parseTreeinfo(signed, 'x').keys, ['RPM-GPG-KEY-site']);
  t.true(signed.includes('#key1 = RPM-GPG-KEY-CH-8\n#key2'));
  t.is(withKey(signed, 'RPM-GPG-KEY-site'), signed);
  t.deepEqual(parseTreeinfo(withoutKeys(signed), 'x').keys, []);
  t.deepEqual(formerKeys(withoutKeys(signed))[0], 'RPM-GPG-KEY-site');
  t.deepEqual(formerKeys(OLD), []);
  t.deepEqual(parseTreeinfo(withoutKeys('[keys]\n  key1 = a\n'), 'x').keys, []);
  t.deepEqual(formerKeys('#key1 = a\n[keys]\n# keys of the vendor\n# key1: b\n#key2\n'), ['b']);
  t.deepEqual(parseTreeinfo(withKey('[build]\nnumber=1', 'K'), 'x').keys, ['K']);
  t.deepEqual(parseTreeinfo(withKey('', 'K'), 'x').keys, ['K']);
  const windows = withKey(OLD.replaceAll('\n', '\r\n'), 'K');
  t.is(windows.replaceAll('\r\n', ''), windows.replaceAll(/[\r\n]/g, ''));
});

test('a comment in [keys] that names no key file of the tree was no key', (t) => {
  for (const line of [
    '# https://xcp-ng.org/keys',
    '# note: unsigned',
    '#vendor = RPM-GPG-KEY-vendor',
    '#key = RPM-GPG-KEY-vendor',
    '#key1 = https://xcp-ng.org/key',
    '#key1 = ../RPM-GPG-KEY-vendor',
    '#key1 = /etc/passwd',
    '#key1 = two words',
  ])
    t.deepEqual(formerKeys(`[keys]\n${line}\n#key2 = K\n`), ['K'], line);
});

const KEY_FILES = ['A', 'B', 'RPM-GPG-KEY-site'];
const OTHER_LINES = ['', '# keys of the vendor', '# note: unsigned', '; key3 = A'];

test('signing after unsigning gives the bytes of before, whatever [keys] holds', (t) => {
  const commented = fc
    .tuple(fc.constantFrom('#key1 = ', '#key2=', '# key7: '), fc.constantFrom(...KEY_FILES))
    .map(([name, file]) => name + file);
  const listed = fc.uniqueArray(
    fc.tuple(fc.constantFrom('key1 = ', 'key2=', 'vendor: '), fc.constantFrom(...KEY_FILES)),
    { selector: ([name]) => name },
  );
  const section = fc
    .tuple(fc.array(fc.oneof(commented, fc.constantFrom(...OTHER_LINES))), listed, fc.nat())
    .map(([lines, keys, at]) =>
      lines.toSpliced(at % (lines.length + 1), 0, ...keys.map((key) => key.join(''))),
    );
  fc.assert(
    fc.property(
      fc.option(section),
      fc.constantFrom('\n', '\r\n'),
      fc.constantFrom(...KEY_FILES),
      fc.constantFrom(...KEY_FILES),
      (lines, end, file, other) => {
        const text = ['[build]', 'number = 1', ...(lines === null ? [] : ['[keys]', ...lines]), ''].join(end);
        const signed = withKey(text, file);
        t.deepEqual(parseTreeinfo(signed, 'x').keys, [file]);
        t.is(withKey(signed, file), signed);
        const unsigned = withoutKeys(signed);
        t.is(formerKeys(unsigned)[0], file);
        t.is(withKey(unsigned, file), signed);
        const again = withKey(withoutKeys(withKey(signed, other)), file);
        t.is(withKey(withoutKeys(withKey(again, other)), file), again);
        for (const line of OTHER_LINES)
          t.is(signed.split(/\r?\n/).includes(line), text.split(/\r?\n/).includes(line), line);
      },
    ),
  );
});

test('the checksum of repomd.xml is brought up to date where a tree lists it', (t) => {
  const text =
    '[checksums]\nimages/boot.iso = sha256:aa\nrepodata/repomd.xml = sha256:bb\n[other]\nrepodata/repomd.xml = 1\n';
  t.is(withChecksum(text, 'repodata/repomd.xml', 'cc'), text.replace('bb', 'cc'));
  t.is(withChecksum(MINIMAL, 'repodata/repomd.xml', 'cc'), MINIMAL);
});

test('a file is taken off the checksums, and off nothing else', (t) => {
  const text =
    '[images]\nefiboot.img = images/efiboot.img\n[checksums]\nimages/a = sha256:aa\nimages/efiboot.img = sha256:bb\n  continued\nimages/z: sha256:cc\n[other]\nimages/efiboot.img = 1\n';
  t.is(
    withoutChecksum(text, 'images/efiboot.img'),
    text.replace('images/efiboot.img = sha256:bb\n  continued\n', ''),
  );
  t.is(withoutChecksum(text, 'images/none'), text);
});
