import test from 'ava';
import fc from 'fast-check';
import { MAX_CONFIG } from '../../../src/image/boot-config/menu.js';
import { parseSyslinux } from '../../../src/image/boot-config/syslinux.js';
import { readIncludes, type IncludedConfig } from '../../../src/image/boot-config/syslinux-include.js';

const include = (
  files: Readonly<Record<string, string>>,
  text: string,
  directory = 'isolinux',
): Promise<IncludedConfig> => readIncludes(text, directory, (path) => Promise.resolve(files[path]));

test('a menu in several files, as Debian’s: each is put in its place', async (t) => {
  const config = await include(
    {
      'isolinux/menu.cfg': 'menu title Installer\ninclude txt.cfg\nMENU INCLUDE /isolinux/more.cfg extra\n',
      'isolinux/txt.cfg':
        'default install\nlabel install\n\tkernel /install.amd/vmlinuz\n\tappend initrd=/i.gz quiet\n',
      'isolinux/more.cfg':
        'label rescue\r\n  kernel /install.amd/vmlinuz\r\n  append initrd=/i.gz rescue\r\n',
    },
    '# D-I config version 2.0\npath \ninclude menu.cfg\ndefault vesamenu.c32\n',
  );
  t.deepEqual(config.files, ['isolinux/menu.cfg', 'isolinux/txt.cfg', 'isolinux/more.cfg']);
  t.deepEqual(config.missing, []);
  const { entries, defaultEntry } = parseSyslinux(config.text, 'isolinux');
  t.deepEqual(
    entries.map(({ label, starts }) => [label, starts.kind === 'linux' && starts.args]),
    [
      ['install', 'quiet'],
      ['rescue', 'rescue'],
    ],
  );
  t.is(defaultEntry, 0);
});

test('paths in an included file are relative to the menu’s directory, not to the file’s', async (t) => {
  const files = { 'boot/isolinux/sub/a.cfg': 'include b.cfg\n', 'boot/isolinux/b.cfg': 'label b\n' };
  const { text } = await include(files, 'INCLUDE sub/a.cfg', 'boot/isolinux');
  t.regex(text, /label b/);
});

for (const [title, text] of [
  ['a comment', '# include a.cfg'],
  ['a help text', 'label x\ntext help\ninclude a.cfg\nendtext'],
  ['a longer word', 'includes a.cfg'],
  ['no file', 'include   '],
] as const) {
  test(`not followed: ${title}`, async (t) => {
    const config = await include({ 'isolinux/a.cfg': 'label a' }, text);
    t.deepEqual(config, { text, files: [], missing: [] });
  });
}

test('a file that is not there stays out and is told, once', async (t) => {
  const config = await include({}, 'include a.cfg\nlabel x\ninclude a.cfg');
  t.deepEqual(config, { text: 'label x', files: [], missing: ['isolinux/a.cfg'] });
});

test('loops, doubling files and long ones end', async (t) => {
  const loop = await include({ 'isolinux/a': 'label a\ninclude a\n' }, 'include a');
  t.is(loop.text.match(/label a/g)?.length, 16);
  const doubling = await include({ 'isolinux/a': 'label a\ninclude a\ninclude a\n' }, 'include a');
  t.true((doubling.text.match(/label a/g)?.length ?? 0) <= 256);
  const long = 'x'.repeat(MAX_CONFIG / 2);
  const config = await include({ 'isolinux/a': long, 'isolinux/b': long }, 'include a\ninclude b\nend');
  t.deepEqual([config.files, config.missing], [['isolinux/a'], ['isolinux/b']]);
});

test('any text and any files end, within the bound', async (t) => {
  const line = fc.constantFrom(
    'include a',
    'include b',
    'menu include c',
    'label x',
    'text help',
    'endtext',
    '',
  );
  const lines = fc.array(line, { maxLength: 8 }).map((all) => all.join('\n'));
  await fc.assert(
    fc.asyncProperty(lines, lines, lines, lines, async (top, a, b, c) => {
      const { text, files } = await include({ 'isolinux/a': a, 'isolinux/b': b, 'isolinux/c': c }, top);
      t.true(text.length <= MAX_CONFIG);
      t.true(files.length <= 3);
    }),
  );
});
