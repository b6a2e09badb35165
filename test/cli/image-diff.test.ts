import { chmod, chown, link, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { item } from '../image/newc.js';
import { imageSite } from './image-site.js';

const directory = (name: string): ReturnType<typeof item> => item({ name, mode: 0o040755, nlink: 2 });
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

const items = [
  directory('etc'),
  item({ name: 'etc/motd', data: Buffer.from('one\ntwo\nthree\n') }),
  item({ name: 'etc/binary', data: Buffer.from([0, 1, 2]) }),
  item({ name: 'etc/gone', data: Buffer.from('gone\n') }),
  item({ name: 'etc/link', mode: 0o120777, data: Buffer.from('motd') }),
].map((one) => ({ ...one, ...owner }));

interface Diff {
  readonly before: string;
  readonly after: string;
  readonly paths: readonly {
    readonly archive: string;
    readonly path: string;
    readonly change: string;
    readonly what: readonly string[];
    readonly before?: Record<string, unknown>;
    readonly after?: Record<string, unknown>;
    readonly text?: string;
  }[];
}

/** Lays `items` out as a directory, as the archive has them. */
async function layOut(root: string): Promise<void> {
  await mkdir(join(root, 'etc'), { recursive: true, mode: 0o755 });
  for (const { name, mode, data } of items.slice(1)) {
    if ((mode & 0o170000) === 0o120000) await symlink(data.toString(), join(root, name));
    else await writeFile(join(root, name), data, { mode: mode & 0o777 });
  }
}

test('diff --text shows how text files differ, and other files by size and digest alone', async (t) => {
  const { work, rackboot, json } = await imageSite(t, items);
  await writeFile(join(work, 'motd'), 'one\n2\nthree\n');
  await writeFile(join(work, 'binary'), Buffer.from([0, 1, 2, 3]));
  const put = await rackboot(
    'image',
    'put',
    'x',
    `${join(work, 'motd')}:/etc/motd`,
    `${join(work, 'binary')}:/etc/binary`,
  );
  t.is(put.status, 0, put.err);
  const diff = await json<Diff>('image', 'diff', 'x', '--text');
  t.deepEqual(
    diff.paths
      .filter(({ what }) => what.includes('content'))
      .map(({ path, before, after }) => [path, before?.['size'], after?.['size']]),
    [
      ['/etc/binary', 3, 4],
      ['/etc/motd', 14, 12],
    ],
  );
  t.deepEqual(
    diff.paths.map(({ path, text }) => [path, text]),
    [
      ['/etc/binary', undefined],
      ['/etc/motd', '--- a/etc/motd\n+++ b/etc/motd\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n'],
    ],
  );
  const plain = await rackboot('image', 'diff', 'x');
  t.regex(plain.out, /~ \/etc\/motd {2}content \(14 → 12 bytes\)/);
  t.notRegex(plain.out, /@@/);
});

test('diff --with compares an image with a directory: nothing, then every kind of difference', async (t) => {
  const { work, rackboot, json } = await imageSite(t, items);
  const root = join(work, 'root');
  await layOut(root);
  t.deepEqual((await json<Diff>('image', 'diff', 'x', '--with', root)).paths, []);
  t.regex((await rackboot('image', 'diff', 'x', '--with', root)).out, /no difference/);

  await rm(join(root, 'etc', 'gone'));
  await rm(join(root, 'etc', 'link'));
  await symlink('binary', join(root, 'etc', 'link'));
  await chmod(join(root, 'etc', 'binary'), 0o4711);
  await writeFile(join(root, 'etc', 'motd'), 'new\n');
  await link(join(root, 'etc', 'motd'), join(root, 'etc', 'added'));
  if (owner.uid === 0) await chown(join(root, 'etc'), 5, 6);
  const diff = await json<Diff>('image', 'diff', 'x', '--with', root);
  t.deepEqual(
    diff.paths.map(({ path, change, what }) => [path, change, ...what]),
    [
      ...(owner.uid === 0 ? [['/etc', 'changed', 'owner']] : []),
      ['/etc/added', 'added'],
      ['/etc/binary', 'changed', 'mode'],
      ['/etc/gone', 'removed'],
      ['/etc/link', 'changed', 'target'],
      ['/etc/motd', 'changed', 'content'],
    ],
  );
  const text = (await rackboot('image', 'diff', 'x', '--with', root)).out;
  t.regex(text, /~ \/etc\/binary {2}mode 0644 → 4711/);
  t.regex(text, /~ \/etc\/link {2}target motd → binary/);
});

test('times and hard links are told where the content is the same', async (t) => {
  const one = { ino: 77, nlink: 2, mtime: 1_500_000_000 };
  const { work, rackboot, json } = await imageSite(t, [
    directory('d'),
    item({ name: 'd/one', ...one }),
    item({ name: 'd/two', ...one, data: Buffer.from('linked\n') }),
    item({ name: 'd/old', mtime: 1_500_000_000, data: Buffer.from('old\n') }),
    item({ name: 'd/new', mtime: 1_600_000_000, data: Buffer.from('new\n') }),
  ]);
  await writeFile(join(work, 'two'), 'linked\n', { mode: 0o644 });
  await writeFile(join(work, 'old'), 'old\n', { mode: 0o644 });
  const put = await rackboot(
    'image',
    'put',
    'x',
    `${join(work, 'two')}:/d/two`,
    `${join(work, 'old')}:/d/old`,
  );
  t.is(put.status, 0, put.err);
  const told = async (...words: string[]): Promise<unknown> =>
    (await json<Diff>('image', 'diff', 'x', ...words)).paths.map(({ path, what, before, after }) => [
      path,
      ...what,
      before?.['names'],
      after?.['names'],
    ]);
  t.deepEqual(await told(), [
    ['/d/old', 'time', undefined, undefined],
    ['/d/one', 'link', ['/d/two'], undefined],
    ['/d/two', 'time', 'link', ['/d/one'], undefined],
  ]);
  const { out } = await rackboot('image', 'diff', 'x');
  t.regex(out, /~ \/d\/old {2}time 2017-07-14T02:40:00Z → 2020-09-13T12:26:40Z$/m);
  t.regex(out, /~ \/d\/one {2}other names \/d\/two → \(none\)$/m);

  const image = join(work, 'x.img');
  t.deepEqual(await told('--with', image), [
    ['/d/one', 'link', undefined, ['/d/two']],
    ['/d/two', 'link', undefined, ['/d/one']],
  ]);
  t.deepEqual(await told('--with', image, '--times'), [
    ['/d/old', 'time', undefined, undefined],
    ['/d/one', 'link', undefined, ['/d/two']],
    ['/d/two', 'time', 'link', undefined, ['/d/one']],
  ]);
  const wrong = await rackboot('image', 'diff', 'x', '--times');
  t.is(wrong.status, 2);
  t.regex(wrong.err, /--times goes with --with/);
});

test('another name that comes or goes is no change of the names that stay', async (t) => {
  const { json, rackboot } = await imageSite(t, [
    item({ name: 'one', ino: 7, nlink: 2 }),
    item({ name: 'two', ino: 7, nlink: 2, data: Buffer.from('linked\n') }),
  ]);
  t.is((await rackboot('image', 'delete', 'x', '/two')).status, 0);
  const told = async (...words: string[]): Promise<unknown> =>
    (await json<Diff>('image', 'diff', 'x', ...words)).paths.map(({ path, change }) => [path, change]);
  t.deepEqual(await told('1', '2'), [['/two', 'removed']]);
  t.deepEqual(await told('2', '1'), [['/two', 'added']]);
});

test('diff --with reads an archive file, leaves nothing behind, and says what it cannot read', async (t) => {
  const { dir, work, rackboot, json } = await imageSite(t, items);
  const image = join(work, 'x.img');
  const made = await rackboot('image', 'delete', 'x', '/etc/gone');
  t.is(made.status, 0, made.err);
  t.deepEqual((await json<Diff>('image', 'diff', 'x', '1', '--with', image)).paths, []);
  const now = await json<Diff>('image', 'diff', 'x', '--with', image);
  t.deepEqual(
    now.paths.map(({ path, change }) => [path, change]),
    [['/etc/gone', 'added']],
  );
  t.is(now.after, image);
  t.deepEqual(await readdir(join(dir, 'store', 'scratch')), []);

  await writeFile(join(work, 'text'), 'no archive');
  for (const [words, expected] of [
    [['--with', join(work, 'text')], /begins no cpio archive/],
    [['--with', join(work, 'missing')], /no such file/],
    [['1', '2', '--with', image], /--with stands for the second generation/],
    [['--part', '1'], /go with --with/],
  ] as const) {
    const { status, err } = await rackboot('image', 'diff', 'x', ...words);
    t.not(status, 0);
    t.regex(err, expected);
    t.is(err.trimEnd().split('\n').length, 1, err);
  }
  t.deepEqual(await readdir(join(dir, 'store', 'scratch')), []);
});

test('what changes no file is told too: settings, layers, kernel lines, what is loaded', async (t) => {
  const { dir, work, rackboot, json } = await imageSite(t, items);
  const change = async (...words: string[]): Promise<string> => {
    const made = await rackboot(...words);
    t.is(made.status, 0, made.err);
    return (await rackboot('image', 'diff', words.includes('k') ? 'k' : 'x')).out;
  };
  await mkdir(join(dir, 'layers/serial'), { recursive: true });
  await writeFile(join(dir, 'layers/serial/bootargs'), 'console=ttyS0\n');
  await writeFile(join(work, 'vmlinuz'), 'kernel');
  const media = [join(work, 'x.img'), '--kernel', join(work, 'vmlinuz'), '--family', 'generic'];
  t.is((await rackboot('image', 'import', ...media, '--name', 'k')).status, 0);

  t.regex(
    await change('image', 'build', 'k', '--layers', 'serial', '--set', 'zone=Europe/Paris'),
    /boot arguments of (\S+):\n {2}- .*\n {2}\+ .*console=ttyS0\nsetting zone: \(none\) → Europe\/Paris\nlayer serial: \(none\) → [0-9a-f]{12}\n$/,
  );
  const zone = await change('image', 'build', 'k', '--set', 'zone=UTC');
  t.regex(zone, /: generation 2 .* → 3 .*\nsetting zone: Europe\/Paris → UTC\n$/);
  const { settings, boot, loads, layers } = await json<Record<string, unknown>>('image', 'diff', 'k');
  t.deepEqual(
    [settings, boot, loads, layers],
    [[{ name: 'zone', before: 'Europe/Paris', after: 'UTC' }], [], [], []],
  );
  await mkdir(join(dir, 'layers/other'));
  await writeFile(join(dir, 'layers/other/bootargs'), '');
  await change('image', 'build', 'k', '--layers', 'serial:other');
  t.regex(
    await change('image', 'build', 'k', '--layers', 'other:serial'),
    /\nlayer order: serial:other → other:serial\n$/,
  );
});

test('no listing shows a password or the hash of one that a setting holds', async (t) => {
  const { work, rackboot, json } = await imageSite(t, items);
  await writeFile(join(work, 'vmlinuz'), 'kernel');
  const media = [join(work, 'x.img'), '--kernel', join(work, 'vmlinuz'), '--family', 'generic'];
  t.is((await rackboot('image', 'import', ...media, '--name', 'k')).status, 0);
  const hashes = [
    '$6$abcdefgh$ThisIsTheHashOfSome.thing/1',
    '$y$j9T$abcdefgh$ThisIsTheHashOfOther.2',
  ] as const;
  const [first, second] = hashes;
  const made: string[] = [];
  for (const words of [
    ['build', 'k', '--set', `root_password=${first}`, '--set', `zone=UTC`, '--set', 'rootpw=plain-words'],
    ['build', 'k', '--set', `root_password=${second}`, '--set', `comment=was ${first}`],
    ['set', 'k', `profile=${second}`, '--json'],
  ]) {
    const { status, out, err } = await rackboot('image', ...words);
    t.is(status, 0, err);
    made.push(out + err);
  }
  for (const words of [
    ['show', 'k'],
    ['show', 'k@2'],
    ['diff', 'k'],
    ['diff', 'k', '2', '3'],
    ['history', 'k'],
  ])
    for (const form of [[], ['--json']]) {
      const { status, out } = await rackboot('image', ...words, ...form);
      t.is(status, 0);
      made.push(out);
    }
  for (const text of made) t.notRegex(text, /ThisIsTheHash|plain-words/);
  t.like(await json('image', 'show', 'k'), {
    settings: { root_password: '(hidden)', rootpw: '(hidden)', zone: 'UTC' },
  });
  const { settings } = await json<Record<string, unknown>>('image', 'diff', 'k', '2', '3');
  t.deepEqual(settings, [
    { name: 'root_password', before: '(hidden)', after: '(hidden)' },
    { name: 'comment', before: null, after: 'was (hidden)' },
  ]);
});

test('an archive that is compressed otherwise is told by its digest, one with other paths by these alone', async (t) => {
  const { dir, rackboot, json } = await imageSite(t, items);
  const unpacked = join(dir, 'unpacked');
  for (const words of [
    ['unpack', 'x', unpacked],
    ['pack', 'x', unpacked, '-c', 'xz'],
  ])
    t.is((await rackboot('image', ...words)).status, 0);
  interface Files {
    readonly paths: readonly unknown[];
    readonly files: readonly { readonly path: string; readonly before: string; readonly after: string }[];
  }
  const { paths, files } = await json<Files>('image', 'diff', 'x');
  t.deepEqual(paths, []);
  t.is(files.length, 1);
  t.not(files[0]?.before, files[0]?.after);
  t.regex((await rackboot('image', 'diff', 'x')).out, /\nfile \S+: [0-9a-f]{12} → [0-9a-f]{12}\n$/);

  t.is((await rackboot('image', 'delete', 'x', '/etc/gone')).status, 0);
  const edited = await json<Files>('image', 'diff', 'x');
  t.is(edited.paths.length, 1);
  t.deepEqual(edited.files, []);
});
