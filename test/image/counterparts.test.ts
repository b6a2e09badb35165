import { readFile } from 'node:fs/promises';
import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import type { Edit } from '../../src/image/edit.js';
import { archive, changes, editsOf, EDIT_TIME, FILE, LINK } from './archive-models.js';
import { describeDisk, describeTree, FileTree } from './file-tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { parseArchive, archiveBytes, type Item } from './newc.js';
import { inDirectory, output, run } from './programs.js';
import { chmod, fileOf, put, read, remove, splice } from './splicing.js';

/** A line of describeDisk or describeTree, taken apart: path, type, permissions, owner, group and the rest. */
type Line = [
  path: string,
  type: string,
  permissions: string,
  uid: number | '',
  gid: number | '',
  ...unknown[],
];

/** The programs that unpack an initrd, and what each does otherwise than the kernel, whoever wrote the archive. */
const PROGRAMS = [
  {
    name: 'GNU cpio',
    words: ['cpio', '--quiet', '--no-absolute-filenames'],
    quirk: (line: Line): Line => line,
  },
  {
    name: 'bsdcpio',
    words: ['bsdcpio', '--quiet'],
    // It makes files of sockets.
    quirk: ([path, type, ...rest]: Line): Line => [path, type === '140000' ? '100000' : type, ...rest],
  },
  {
    name: 'busybox cpio',
    words: ['busybox', 'cpio'],
    // Symbolic links belong to whoever unpacks.
    quirk: ([path, type, permissions, uid, gid, ...rest]: Line): Line =>
      type === '120000'
        ? [path, type, permissions, '', '', ...rest]
        : [path, type, permissions, uid, gid, ...rest],
  },
] as const;
type Program = (typeof PROGRAMS)[number];

const isFile = (mode: number): boolean => (mode & 0o170000) === FILE;

const throughQuirk = (lines: readonly string[], { quirk }: Program): string[] =>
  lines.map((line) => JSON.stringify(quirk(JSON.parse(line) as Line)));

const INITRD = '/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz';

/** The names that a program lists, latin-1, in archive order. None may hold a newline. */
async function listed({ words: [program, ...args] }: Program, plain: Buffer): Promise<string[]> {
  const names = await output(program, [...args, '-it'], plain);
  return names
    .toString('latin1')
    .split('\n')
    .filter((name) => name !== '');
}

/** What a program makes of an archive in an empty directory. */
async function unpacked(program: Program, plain: Buffer): Promise<string[]> {
  const [name, ...args] = program.words;
  return inDirectory(async (dir) => {
    await output(name, [...args, '-idmu'], plain, dir);
    return throughQuirk(await describeDisk(dir), program);
  });
}

async function treeAfter(items: readonly Item[], edits: readonly Edit[]): Promise<FileTree> {
  const tree = FileTree.unpack(items);
  for (const edit of edits) await tree.apply(edit, EDIT_TIME);
  return tree;
}

for (const program of PROGRAMS) {
  test(`${program.name} lists and unpacks edited archives as the edits describe them`, async (t) => {
    await fc.assert(
      fc.asyncProperty(archive, changes, async (items, wishes) => {
        const blobs = new MemoryBlobs();
        const tree = FileTree.unpack(items);
        const edits = await editsOf(wishes, tree);
        const base = await read(zlib.gzipSync(archiveBytes(items), { level: 1 }), blobs);
        const plain = zlib.gunzipSync(fileOf(await splice(base, edits, blobs), blobs));
        const inOrder = parseArchive(plain).items;
        if (!inOrder.some(({ name }) => name.includes('\n'))) {
          // busybox lists a link that comes before its data where the data is, or not at all.
          const early = inOrder.filter(
            ({ nlink, mode, data }) => nlink > 1 && isFile(mode) && data.length === 0,
          );
          const passedOver = new Set(program.name === 'busybox cpio' ? early.map(({ name }) => name) : []);
          const counted = (names: readonly string[]): string[] =>
            names.filter((name) => !passedOver.has(name));
          t.deepEqual(counted(await listed(program, plain)), counted(inOrder.map(({ name }) => name)));
        }
        t.deepEqual(await unpacked(program, plain), throughQuirk(describeTree(tree), program));
      }),
      { numRuns: 25, seed: 4 },
    );
  });
}

test.serial('Debian’s installer, edited: every program sees the edit and nothing but the edit', async (t) => {
  const blobs = new MemoryBlobs();
  const file = await readFile(INITRD);
  const vendor = await output('gzip', ['-dc'], file);
  const { items } = parseArchive(vendor);
  const before = items.map(({ name }) => name);
  const gone = ['usr/lib/libcrypto.so.3', 'etc/rc6.d'].filter((name) => before.includes(name));
  t.true(gone.length > 0);
  const edits: Edit[] = [
    put('preseed.cfg', 'd-i auto-install/enable boolean true\n'),
    put('opt/site/drivers/x.ko', Buffer.alloc(3_000_000, 'driver')),
    put('opt/site/link', '/init', LINK | 0o777),
    put('lib/modules/new', 'through a link or not\n'),
    put('init', '#!/bin/sh\nexec /sbin/init\n', FILE | 0o755),
    chmod('etc/passwd', 0o600),
    ...gone.map(remove),
  ].map((edit) =>
    edit.op === 'put' && (edit.mode & 0o170000) === LINK ? { ...edit, target: '/init' } : edit,
  );
  const edited = fileOf(await splice(await read(file, blobs), edits, blobs), blobs);
  await output('gzip', ['-t'], edited);
  const plain = await output('gzip', ['-dc'], edited);
  t.is((await run('pigz', ['-t'], edited)).code, 0);
  t.true((await output('busybox', ['gunzip', '-c'], edited)).equals(plain));

  const left = before.filter((name) => !gone.some((out) => name === out || name.startsWith(`${out}/`)));
  const fresh = [
    'lib/modules/new',
    'opt',
    'opt/site',
    'opt/site/drivers',
    'opt/site/drivers/x.ko',
    'opt/site/link',
    'preseed.cfg',
  ];
  const tree = describeTree(await treeAfter(items, edits));
  for (const program of PROGRAMS) {
    t.deepEqual(await listed(program, vendor), before, program.name);
    t.deepEqual(await listed(program, plain), [...left, ...fresh], program.name);
    t.deepEqual(await unpacked(program, plain), throughQuirk(tree, program), program.name);
  }
});
