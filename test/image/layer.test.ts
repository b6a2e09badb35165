import { execFileSync } from 'node:child_process';
import { link, mkdir, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { ImageError } from '../../src/image/errors.js';
import { decodeSnapshot, encodeSnapshot, layerEdits } from '../../src/image/layer.js';
import { resolveLayers } from '../../src/image/layer-path.js';
import { readLayer } from '../../src/image/layer-read.js';
import { DIR, LINK } from './archive-models.js';
import { describeDisk } from './file-tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, parseArchive, type Item } from './newc.js';
import { inDirectory, output } from './programs.js';
import { plainOf, read, splice } from './splicing.js';

const IMAGE: readonly Item[] = [
  item({ name: '.', mode: DIR | 0o755, ino: 9 }),
  item({ name: 'usr', mode: DIR | 0o755, ino: 1 }),
  item({ name: 'usr/lib', mode: DIR | 0o755, ino: 2 }),
  item({ name: 'lib', mode: LINK | 0o777, ino: 3, data: Buffer.from('usr/lib') }),
  item({ name: 'usr/lib/doc', mode: DIR | 0o755, ino: 4 }),
  item({ name: 'usr/lib/doc/README', ino: 5, data: Buffer.from('read me') }),
  item({ name: 'usr/lib/doc/LICENSE', ino: 6, data: Buffer.from('licence') }),
];

/** The plain archive that the layer in `dir` makes of `items`, and what was noted. */
async function build(
  dir: string,
  items: readonly Item[] = IMAGE,
): Promise<{ plain: Buffer; notes: string[] }> {
  const blobs = new MemoryBlobs();
  const notes: string[] = [];
  const snapshot = await readLayer({ name: 'l', dir }, blobs, (line) => notes.push(line));
  const stored = decodeSnapshot(encodeSnapshot(snapshot));
  const after = await splice(
    await read(archiveBytes(items), blobs),
    layerEdits('layer l', stored, blobs),
    blobs,
  );
  return { plain: Buffer.concat(await plainOf(after, blobs)), notes };
}

test('exlist thins the image before the overlay is put in', async (t) => {
  await inDirectory(async (dir) => {
    await mkdir(path.join(dir, 'overlay/lib/doc'), { recursive: true });
    await writeFile(path.join(dir, 'overlay/lib/doc/OURS'), 'ours');
    await writeFile(path.join(dir, 'exlist'), './usr/lib/doc*\n+./usr/lib/doc/LICENSE\nusr/lib/x\n');
    const { plain, notes } = await build(dir);
    t.deepEqual(
      parseArchive(plain)
        .items.map(({ name }) => name)
        .slice(4),
      ['usr/lib/doc', 'usr/lib/doc/LICENSE', './usr/lib/doc/OURS'.slice(2)],
    );
    t.deepEqual(notes, [
      `${dir}/exlist:3: usr/lib/x matches nothing, since paths begin with ./; write ./usr/lib/x`,
    ]);
  });
});

test('removals are bytes, with \\xNN for any of them', async (t) => {
  await inDirectory(async (dir) => {
    const items = [
      ...IMAGE,
      ...['bad\xffq', 'new\nline', 'kept'].map((name, at) => item({ name, ino: 20 + at })),
    ];
    await writeFile(path.join(dir, 'removals'), Buffer.from('/bad\xffq # odd\n/new\\x0aline\n', 'latin1'));
    const { plain } = await build(dir, items);
    t.deepEqual(
      parseArchive(plain)
        .items.map(({ name }) => name)
        .slice(IMAGE.length),
      ['kept'],
    );
  });
});

test('an INCLUDE may name a directory with a # in it', async (t) => {
  await inDirectory(async (dir) => {
    for (const name of ['top', 'hash#2']) await mkdir(path.join(dir, name));
    await writeFile(path.join(dir, 'top', 'INCLUDE'), '../hash#2 # the second\n');
    const layers = await resolveLayers(path.join(dir, 'top'), []);
    t.deepEqual(
      layers.map(({ name }) => name),
      ['top', 'hash#2'],
    );
  });
});

test('hard links of an overlay are hard links in the image', async (t) => {
  await inDirectory(async (dir) => {
    await mkdir(path.join(dir, 'overlay'));
    await writeFile(path.join(dir, 'overlay/b'), 'data');
    await link(path.join(dir, 'overlay/b'), path.join(dir, 'overlay/a'));
    const { plain } = await build(dir);
    const [a, b] = parseArchive(plain).items.slice(IMAGE.length);
    t.deepEqual(
      [a?.name, a?.nlink, a?.data.toString(), b?.name, b?.nlink, b?.data.toString()],
      ['a', 2, '', 'b', 2, 'data'],
    );
    t.is(a?.ino, b?.ino);
  });
});

/** A tree with one of everything, made by root. */
async function makeTree(dir: string): Promise<void> {
  await mkdir(path.join(dir, 'etc/dir with space'), { recursive: true });
  await writeFile(path.join(dir, 'etc/shadow'), 'secret', { mode: 0o600 });
  await writeFile(path.join(dir, 'etc/dir with space/n\nl#=\\*'), 'odd');
  await writeFile(Buffer.from(`${dir}/etc/\xff\xfe`, 'latin1'), 'not UTF-8');
  await writeFile(path.join(dir, 'etc/su'), 'su', { mode: 0o755 });
  await link(path.join(dir, 'etc/su'), path.join(dir, 'sudo'));
  await symlink('etc/a b\\c', path.join(dir, 'link'));
  const run = (program: string, ...args: string[]): Buffer => execFileSync(program, args, { cwd: dir });
  run('mknod', 'null', 'c', '1', '3');
  run('mknod', 'disk', 'b', '254', '100');
  run('mkfifo', 'pipe');
  run('chown', '12:34', 'etc/su', 'pipe', 'disk');
  run('chown', '-h', '5:6', 'link');
  run('chmod', '4755', 'etc/su');
  run('chmod', '1777', 'etc/dir with space');
  run('find', '.', '-exec', 'touch', '-h', '-d', '@1600000000', '{}', '+'); // archives hold whole seconds
  await utimes(path.join(dir, 'etc/shadow'), 1, 1_000_000_000);
  await utimes(path.join(dir, 'pipe'), 1, 1);
}

for (const options of [
  '!all,type,mode,uid,gid,time,link,device,inode,resdevice',
  'mtree:all',
  'mtree:all,mtree:use-set,mtree:indent',
]) {
  test(`a tree comes back from its files and its mtree: bsdtar --options=${options}`, async (t) => {
    await inDirectory(async (dir) => {
      const [tree, layer, unpacked] = ['tree', 'layer', 'unpacked'].map((name) => path.join(dir, name));
      await mkdir(tree!);
      await makeTree(tree!);
      const mtree = await output(
        'bsdtar',
        ['-cf', '-', '--format=mtree', `--options=${options}`, '.'],
        undefined,
        tree,
      );
      await mkdir(layer!);
      await mkdir(unpacked!);
      await writeFile(path.join(layer!, 'mtree'), mtree);
      // The overlay as somebody keeps it who is not root: contents only.
      execFileSync('cp', ['-R', '--no-preserve=all', tree!, path.join(layer!, 'overlay')]);
      for (const name of ['null', 'disk', 'pipe', 'link']) await rm(path.join(layer!, 'overlay', name));
      execFileSync('chmod', ['-R', 'u=rwX,go=', path.join(layer!, 'overlay')]);
      const { plain } = await build(layer!, []);
      await output('cpio', ['-idmu', '--quiet', '--no-absolute-filenames'], plain, unpacked);
      t.deepEqual(await describeDisk(unpacked!), await describeDisk(tree!));
      t.true((await readdir(unpacked!)).length > 5);
    });
  });
}

test('an mtree changes files of the image, and of directories behind its links', async (t) => {
  await inDirectory(async (dir) => {
    await writeFile(
      path.join(dir, 'mtree'),
      './lib type=dir uid=3\n./lib/doc/README type=file gid=4 mode=0600\n./lib/doc/LICENSE time=77\n',
    );
    const { items } = parseArchive((await build(dir)).plain);
    t.is(items.length, IMAGE.length);
    const of = (name: string): Item => items.find((one) => one.name === name)!;
    t.is(of('usr/lib').uid, 3);
    t.is(of('lib').uid, 0);
    t.like(of('usr/lib/doc/README'), { gid: 4, mode: 0o100600, mtime: 0 });
    t.like(of('usr/lib/doc/LICENSE'), { mtime: 77, mode: 0o100644 });
  });
});

for (const [title, files, message] of [
  [
    'an mtree line of a file that nothing holds',
    { mtree: '#mtree\n./nothing type=file uid=1' },
    /^layer l: mtree:2: \/nothing is not in the image/,
  ],
  [
    'an mtree line of another type',
    { mtree: './lib/doc type=file' },
    /^layer l: mtree:1: \/usr\/lib\/doc is no regular file in the image/,
  ],
  ['an mtree line outside', { mtree: './../x type=dir' }, /^layer l: mtree:1: \/\.\.\/x leaves the image/],
  ['an unknown keyword', { mtree: './x optional' }, /\/mtree:1: keyword optional is not one/],
  ['a stranger', { notes: '' }, /\/notes: a layer may hold .*exlist, mtree/],
] as const) {
  test(`refused: ${title}`, async (t) => {
    await inDirectory(async (dir) => {
      for (const [name, text] of Object.entries(files)) await writeFile(path.join(dir, name), text);
      const error = await t.throwsAsync(build(dir), { instanceOf: ImageError });
      t.regex(error.message, message);
    });
  });
}

test('templates for another release are told, and a stranger among templates is refused', async (t) => {
  await inDirectory(async (dir) => {
    await mkdir(path.join(dir, 'templates/installimg/8.2/etc'), { recursive: true });
    await writeFile(path.join(dir, 'templates/installimg/8.2/etc/motd'), 'of 8.2');
    const notes: string[] = [];
    const read = (dist: string): ReturnType<typeof readLayer> =>
      readLayer({ name: 'l', dir }, new MemoryBlobs(), (line) => notes.push(line), { dist });
    t.deepEqual((await read('8.3')).files, []);
    t.deepEqual(notes, [
      `${dir}/templates: nothing in it is for 8.3; name a directory 8.3 in its iso/ or installimg/`,
    ]);
    t.deepEqual(
      (await read('8.2')).files.map((file) => file.path),
      ['etc', 'etc/motd'],
    );
    t.is(notes.length, 1);
    await mkdir(path.join(dir, 'templates/pxe'));
    await t.throwsAsync(read('8.2'), {
      code: 'BAD_LAYER',
      message: `${dir}/templates/pxe: templates/ may hold iso/<dist>/ and installimg/<dist>/; move or remove it`,
    });
  });
});

test('the words of bootargs come before those of installer-bootargs.lst', async (t) => {
  await inDirectory(async (dir) => {
    await writeFile(path.join(dir, 'bootargs'), '# why\na={{ node.name }}\n');
    await writeFile(path.join(dir, 'installer-bootargs.lst'), 'no-gpgcheck # so\n\nb=1 c');
    const { bootargs } = await readLayer({ name: 'l', dir }, new MemoryBlobs());
    t.is(bootargs, '\na={{ node.name }}\nno-gpgcheck\nb=1 c');
  });
});

test('the same layer gives the same snapshot', async (t) => {
  await inDirectory(async (dir) => {
    await mkdir(path.join(dir, 'overlay'));
    await makeTree(path.join(dir, 'overlay'));
    for (const name of ['null', 'disk', 'pipe']) await rm(path.join(dir, 'overlay', name));
    await writeFile(path.join(dir, 'exlist'), './a\n+./b');
    const snapshots = [];
    for (let turn = 0; turn < 2; turn++)
      snapshots.push(encodeSnapshot(await readLayer({ name: 'l', dir }, new MemoryBlobs())));
    t.deepEqual(snapshots[0], snapshots[1]);
  });
});
