import { link, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { collect } from '../../../src/image/chunks.js';
import { pathFromText } from '../../../src/image/cpio/path.js';
import { insideOf, lookInside, type Outside } from '../../../src/image/nested/open.js';
import type { ReadableFile } from '../../../src/image/nested/contents.js';
import { DEFAULT_LIMITS } from '../../../src/image/unpack-limits.js';
import { inChunks } from '../memory-blobs.js';
import { inDirectory, output } from '../programs.js';

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\n';
const BIG = Buffer.alloc(300_000, 'a line of a large file\n');

/** Files in memory as a place where paths begin. */
function outside(files: Readonly<Record<string, Buffer>>): Outside {
  const at = (name: string): Buffer | undefined => files[name];
  return {
    has: (name) => at(name) !== undefined,
    file(name): ReadableFile | undefined {
      const bytes = at(name);
      if (bytes === undefined) return undefined;
      return { size: bytes.length, where: name, read: () => inChunks(bytes, [65536, 1, 511]) };
    },
  };
}

/** What `text` reaches, as text; undefined when it lies inside of nothing. */
async function cat(from: Outside, text: string): Promise<string | undefined> {
  const found = await lookInside(from, text, async ({ contents, path: inner }) => {
    return collect(contents.read(contents.tree.find(pathFromText(inner))));
  });
  return found?.result.toString('latin1');
}

/** A tree on disk with what archives tell in different ways. */
async function makeRoot(dir: string): Promise<string> {
  const root = path.join(dir, 'root');
  await mkdir(path.join(root, 'usr/lib'), { recursive: true });
  await mkdir(path.join(root, 'etc'));
  await symlink('usr/lib', path.join(root, 'lib'));
  await writeFile(path.join(root, 'etc/passwd'), PASSWD);
  await writeFile(path.join(root, 'etc/with:colon'), 'a colon\n');
  await writeFile(path.join(root, 'etc/two\nlines'), 'newline\n');
  await writeFile(path.join(root, 'usr/lib/big'), BIG);
  await writeFile(path.join(root, 'etc/empty'), '');
  await symlink('/etc/passwd', path.join(root, 'etc/users'));
  await link(path.join(root, 'etc/passwd'), path.join(root, 'etc/zz-hard'));
  return root;
}

const tar = (root: string, ...options: string[]): Promise<Buffer> =>
  output('tar', ['-C', root, '-c', ...options, '.']);
const packed =
  (program: string, ...args: string[]) =>
  async (root: string, dir: string): Promise<Buffer> => {
    const into = path.join(dir, 'packed');
    await output(
      program,
      args.map((arg) => arg.replace('ROOT', root).replace('INTO', into)),
    );
    return output('cat', [into]);
  };

const FORMATS: readonly (readonly [string, (root: string, dir: string) => Promise<Buffer>])[] = [
  ['tar, pax', (root) => tar(root, '--format=pax')],
  ['tar, GNU', (root) => tar(root, '--format=gnu')],
  ['tar, ustar', (root) => tar(root, '--format=ustar')],
  ['tar, v7', (root) => tar(root, '--format=v7')],
  ['tar.gz', (root) => tar(root, '-z')],
  ['tar.xz', (root) => tar(root, '-J')],
  ['tar.zst', (root) => tar(root, '--zstd')],
  ['tar.bz2', (root) => tar(root, '-j')],
  ['bsdtar', (root) => output('bsdtar', ['-C', root, '-cf', '-', '.'])],
  ['cpio, newc', (root) => output('sh', ['-c', `cd ${root} && find . -print0 | cpio -0oH newc --quiet`])],
  ['cpio, odc', (root) => output('sh', ['-c', `cd ${root} && find . -print0 | cpio -0oH odc --quiet`])],
  ['cpio.gz', (root) => output('sh', ['-c', `cd ${root} && find . -print0 | cpio -0oH newc --quiet | gzip`])],
  ['squashfs, gzip', packed('mksquashfs', 'ROOT', 'INTO', '-quiet', '-no-progress')],
  ['squashfs, zstd', packed('mksquashfs', 'ROOT', 'INTO', '-quiet', '-no-progress', '-comp', 'zstd')],
  ['ISO', packed('xorriso', '-as', 'mkisofs', '-quiet', '-R', '-o', 'INTO', 'ROOT')],
];

for (const [name, make] of FORMATS) {
  test(`${name}: lists and reads what the program that wrote it put in`, async (t) => {
    await inDirectory(async (dir) => {
      const root = await makeRoot(dir);
      const from = outside({ inner: await make(root, dir) });
      t.is(await cat(from, 'inner:etc/passwd'), PASSWD);
      t.is(await cat(from, 'inner:/etc/users'), PASSWD, 'a symbolic link is followed');
      t.is(await cat(from, 'inner:etc/zz-hard'), PASSWD, 'a hard link is the file');
      t.is(await cat(from, 'inner:lib/big'), BIG.toString('latin1'));
      t.is(await cat(from, 'inner:etc/with:colon'), 'a colon\n');
      t.is(await cat(from, 'inner:etc/two\nlines'), 'newline\n');
      t.is(await cat(from, 'inner:etc/empty'), '');
      await t.throwsAsync(cat(from, 'inner:etc/none'), {
        code: 'NO_SUCH_ENTRY',
        message: /^inner: \/etc\/none/,
      });
      const listed = await lookInside(from, 'inner:', async ({ contents }) =>
        contents.tree.below(pathFromText('/')).map(({ path: entry }) => entry as string),
      );
      const found = (await output('find', [root, '-mindepth', '1', '-printf', '%P\\0'])).toString('latin1');
      t.deepEqual(
        listed?.result.filter((entry) => entry !== '').sort(),
        found
          .split('\0')
          .filter((entry) => entry !== '')
          .sort(),
      );
    });
  });
}

test.serial(
  'files one inside the other are looked into, four deep and no deeper; nothing is left on disk',
  async (t) => {
    await inDirectory(async (dir) => {
      const root = await makeRoot(dir);
      const box = path.join(dir, 'box');
      await mkdir(box);
      const nest = async (
        name: string,
        make: (root: string, dir: string) => Promise<Buffer>,
      ): Promise<Buffer> => {
        const bytes = await make(root, dir);
        await output('sh', ['-c', `rm -rf ${root} ${dir}/packed && mkdir ${root}`]);
        await writeFile(path.join(root, name), bytes);
        return bytes;
      };
      const formats = Object.fromEntries(FORMATS);
      await nest('a.tar.gz', formats['tar.gz']!);
      await nest('b.squashfs', formats['squashfs, gzip']!);
      await nest('c.cpio', formats['cpio, newc']!);
      await nest('d.iso', formats['ISO']!);
      const five = await formats['tar, pax']!(root, dir);
      const four = { 'd.iso': await output('cat', [path.join(root, 'd.iso')]) };
      t.is(await cat(outside(four), 'd.iso:c.cpio:b.squashfs:a.tar.gz:etc/passwd'), PASSWD);
      await t.throwsAsync(cat(outside({ five }), 'five:d.iso:c.cpio:b.squashfs:a.tar.gz:etc/passwd'), {
        code: 'TOO_DEEP',
      });
      const spools = `rackboot-spool-${process.pid}-`;
      t.deepEqual(
        (await readdir(os.tmpdir())).filter((name) => name.startsWith(spools)),
        [],
      );
    });
  },
);

test('a name that has the colon comes before what the colon means', async (t) => {
  await inDirectory(async (dir) => {
    const inner = await tar(await makeRoot(dir));
    const from = outside({ a: inner, 'a:etc/passwd': Buffer.from('literal'), 'a:b': inner });
    t.is(await cat(from, 'a:etc/passwd'), undefined, 'nothing to look into: it is a file of its own');
    t.is(await cat(from, 'a:b:etc/passwd'), PASSWD, 'the outer name may hold a colon');
    t.is(await cat(from, 'b:etc/passwd'), undefined);
    t.is(await cat(from, 'plain'), undefined);
  });
});

test('what is damaged or too large says which file, and what is wrong with it', async (t) => {
  await inDirectory(async (dir) => {
    const root = await makeRoot(dir);
    const plain = await tar(root, '--format=pax');
    const squashfs = await packed('mksquashfs', 'ROOT', 'INTO', '-quiet', '-no-progress')(root, dir);
    const broken = Buffer.from(plain);
    broken[3]! ^= 1;
    const TABLE: readonly (readonly [string, Buffer, string])[] = [
      [
        'cut inside of a file',
        plain.subarray(0, plain.indexOf('a line of a large file') + 1000),
        'TRUNCATED',
      ],
      ['cut before the zeros that end it', plain.subarray(0, 512), 'TRUNCATED'],
      ['a header that is not what it was', broken, 'BAD_MAGIC'],
      ['cut gzip', (await tar(root, '-z')).subarray(0, 500), 'TRUNCATED'],
      ['text', Buffer.from('just text\n'.repeat(100)), 'BAD_MAGIC'],
      ['nothing', Buffer.alloc(0), 'BAD_MAGIC'],
      ['zeros', Buffer.alloc(4096), 'BAD_MAGIC'],
      ['cut squashfs', squashfs.subarray(0, 100), 'TOOL_FAILED'],
    ];
    for (const [name, bytes, code] of TABLE)
      await t.throwsAsync(cat(outside({ x: bytes }), 'x:etc/passwd'), { code, message: /^x: / }, name);
    const tight = { ...DEFAULT_LIMITS, maxSize: 4096 };
    for (const bytes of [
      plain,
      squashfs.length > 4096 ? squashfs : Buffer.concat([squashfs, Buffer.alloc(4096)]),
    ])
      await t.throwsAsync(
        lookInside(outside({ x: bytes }), 'x:etc/passwd', async () => undefined, tight),
        { code: 'TOO_LARGE' },
      );
  });
});

test('names that leave the archive are listed and lead nowhere', async (t) => {
  await inDirectory(async (dir) => {
    await writeFile(path.join(dir, 'evil'), 'evil\n');
    const args = ['-C', dir, '-cPf', '-', '--transform=s,evil,../../evil,', 'evil'];
    const from = outside({ x: await output('tar', args) });
    await t.throwsAsync(cat(from, 'x:../../evil'), { code: 'UNSAFE_PATH' });
    const absolute = await output('tar', ['-cPf', '-', path.join(dir, 'evil')]);
    t.is(await cat(outside({ x: absolute }), `x:${dir}/evil`), 'evil\n');
  });
});

test('the contents of what was opened are a place where paths begin', async (t) => {
  await inDirectory(async (dir) => {
    const from = outside({ x: await tar(await makeRoot(dir)) });
    const names = await lookInside(from, 'x:', async ({ contents, where }) => {
      const inner = insideOf({ contents, where });
      return [
        inner.has(''),
        inner.has('etc'),
        inner.has('none'),
        inner.file('etc'),
        inner.file('etc/users')?.where,
      ];
    });
    t.deepEqual(names?.result, [true, true, false, undefined, 'x:etc/users']);
  });
});
