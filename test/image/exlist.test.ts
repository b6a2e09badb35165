import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { ArchivePath } from '../../src/image/cpio/path.js';
import { ImageError } from '../../src/image/errors.js';
import { exlistKeeps, readExlist, type Exlist, type IdleLine } from '../../src/image/exlist.js';
import { inDirectory, output } from './programs.js';

/** The list in the file `/layer/exlist` of a file system that holds `files`. */
async function readFrom(
  files: Readonly<Record<string, string>>,
): Promise<{ list: Exlist; idle: IdleLine[] }> {
  const idle: IdleLine[] = [];
  const list = await readExlist('/layer/exlist', {
    async read(file) {
      const text = files[file];
      if (text === undefined) throw new Error(`ENOENT ${file}`);
      return text;
    },
    onIdle: (line) => idle.push(line),
  });
  return { list, idle };
}

test('lines: excluded, kept, comments, spaces', async (t) => {
  const text = '# documentation\n\n ./usr/share/doc* # all of it\n-./boot*\n+./boot/config\n./a#b\n';
  const { list, idle } = await readFrom({ '/layer/exlist': text });
  t.deepEqual(list, { exclude: ['./usr/share/doc*', './boot*', './a'], include: ['./boot/config'] });
  t.deepEqual(idle, []);
});

test('lists are included by their path from the list that names them', async (t) => {
  const { list } = await readFrom({
    '/layer/exlist': './a\n#INCLUDE:../shared/base.exlist#\n./b',
    '/shared/base.exlist': '#INCLUDE:more#\n./c',
    '/shared/more': '+./d\n',
  });
  t.deepEqual(list, { exclude: ['./a', './c', './b'], include: ['./d'] });
});

for (const [title, files, message] of [
  [
    'a list that is not there',
    { '/layer/exlist': '\n#INCLUDE:gone#\n' },
    '/layer/exlist:2: /layer/gone cannot be read; correct the name, which is relative to the list it stands in',
  ],
  [
    'a list that includes itself',
    { '/layer/exlist': '#INCLUDE:b#', '/layer/b': './x\n#INCLUDE:exlist#' },
    '/layer/b:2: /layer/exlist includes itself in the end; take this line out',
  ],
] as const) {
  test(`refused: ${title}`, async (t) => {
    const error = await t.throwsAsync(readFrom(files), { instanceOf: ImageError, code: 'BAD_LAYER' });
    t.is(error.message, message);
  });
}

test('a line that can match nothing is told, and kept as it is', async (t) => {
  const { list, idle } = await readFrom({ '/layer/exlist': './ok\nusr/share\n./usr/share/\n/etc' });
  t.deepEqual(list.exclude, ['./ok', 'usr/share', './usr/share/', '/etc']);
  t.deepEqual(
    idle.map(({ line, why }) => [line, why]),
    [
      [2, 'usr/share matches nothing, since paths begin with ./; write ./usr/share'],
      [3, './usr/share/ matches nothing, since no path ends in /; write ./usr/share or ./usr/share/*'],
      [4, '/etc matches nothing, since paths begin with ./; write ./etc'],
    ],
  );
});

/** The find commands that packimage makes of a list (design: reference of xCAT, "File selection"). */
async function findKeeps(dir: string, { exclude, include }: Exlist): Promise<string[]> {
  const not = exclude.flatMap((pattern, at) => [...(at > 0 ? ['-a'] : []), '!', '-path', pattern]);
  const or = include.flatMap((pattern, at) => [...(at > 0 ? ['-o'] : []), '-path', pattern]);
  const found = (await output('find', ['.', '-xdev', ...not], undefined, dir)).toString('latin1');
  const kept = include.length === 0 ? '' : await output('find', ['.', '-xdev', ...or], undefined, dir);
  return [...new Set(`${found}${kept.toString('latin1')}`.split('\n').slice(0, -1))].sort();
}

const TREE = [
  'boot/vmlinuz',
  'boot/grub/grub.cfg',
  'etc/init.d/statelite',
  'usr/share/doc/bash/README.gz',
  'usr/share/docs',
  'usr/share/keep/k',
  'usr/share/locale/C/x',
  'usr/share/locale/de/x',
  'usr/share/locale/en_US/LC_MESSAGES/x',
  'usr/share/zoneinfo/Europe/Berlin',
  'tmp/.hidden/x',
  'var/lib/[odd]/x*y',
];

const lists: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['a directory without what is below it', './usr/share/keep'],
  ['a directory and all below', './usr/share/doc*'],
  ['locales but two', './usr/share/locale/*\n+./usr/share/locale/en_US*\n+./usr/share/locale/C*'],
  ['a file that stays in a directory that goes', './boot*\n+./boot/grub/grub.cfg'],
  ['the same path kept and excluded', './boot/vmlinuz\n+./boot/vmlinuz'],
  ['any name, at any depth', '*x*'],
  ['everything but the root', './*'],
  ['everything', '*'],
  ['brackets and backslashes', './var/lib/\\[odd\\]/x[*]y\n./tmp/.h?dden*\n-./[e]tc/*'],
  ['only what is kept', '+./boot*'],
  ['lines that match nothing', 'boot\n./boot/\n'],
];

for (const [title, text] of lists) {
  test(`the same as GNU find keeps: ${title}`, async (t) => {
    const { list } = await readFrom({ '/layer/exlist': text });
    await inDirectory(async (dir) => {
      for (const file of TREE) {
        await mkdir(path.join(dir, path.dirname(file)), { recursive: true });
        await writeFile(path.join(dir, file), '');
      }
      const all = (await output('find', ['.'], undefined, dir)).toString().split('\n').slice(0, -1);
      const keeps = exlistKeeps(list);
      const kept = all.filter((name) => keeps((name === '.' ? '' : name.slice(2)) as ArchivePath)).sort();
      t.deepEqual(kept, await findKeeps(dir, list));
    });
  });
}
