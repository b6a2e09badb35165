import test from 'ava';
import fc from 'fast-check';
import { loadEntries } from '../../src/image/archive-index.js';
import { canonicalPath, type ArchivePath } from '../../src/image/cpio/path.js';
import type { Edit } from '../../src/image/edit.js';
import { planEdits } from '../../src/image/edit-plan.js';
import { ImageError } from '../../src/image/errors.js';
import { archive, DIR, editOf, EDIT_TIME, FILE, LINK, changes } from './archive-models.js';
import { describeDisk, describeTree, FileTree, Refusal } from './file-tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, parseArchive, type Item } from './newc.js';
import { inDirectory, output } from './programs.js';
import { plainOf, put, read, remove, splice } from './splicing.js';

const link = (path: string, to: string): Edit => ({
  op: 'link',
  path: canonicalPath(path),
  to: canonicalPath(to),
  from: 'test',
});
const set = (path: string, fields: Partial<Extract<Edit, { op: 'set' }>>): Edit => ({
  ...fields,
  op: 'set',
  path: canonicalPath(path),
  from: 'test',
});
const thin = (keeps: (path: ArchivePath) => boolean): Edit => ({ op: 'thin', keeps, from: 'test' });

const IMAGE: readonly Item[] = [
  item({ name: 'usr', mode: DIR | 0o755, ino: 1 }),
  item({ name: 'usr/lib', mode: DIR | 0o755, ino: 2 }),
  item({ name: 'lib', mode: LINK | 0o777, ino: 3, data: Buffer.from('usr/lib') }),
  item({ name: 'one', ino: 4, data: Buffer.from('one'), dev: [0, 8] }),
  item({ name: 'pair1', ino: 5, nlink: 2 }),
  item({ name: 'pair2', ino: 5, nlink: 2, data: Buffer.from('pair') }),
  item({ name: 'last', ino: 4, data: Buffer.from('the number of another file'), dev: [0, 8] }),
];

async function edited(items: readonly Item[], edits: readonly Edit[]): Promise<Item[]> {
  const blobs = new MemoryBlobs();
  const after = await splice(await read(archiveBytes(items), blobs), edits, blobs);
  return parseArchive(Buffer.concat(await plainOf(after, blobs))).items;
}

/** Paths by the file they name, with its content, as unpacking makes them. */
async function filesOf(edits: readonly Edit[]): Promise<Record<string, string>> {
  const { files } = FileTree.unpack(await edited(IMAGE, edits));
  const names: Record<string, string> = {};
  for (const inode of new Set(files.values())) {
    if ((inode.mode & 0o170000) !== FILE) continue;
    const same = [...files].filter(([, other]) => other === inode).map(([path]) => path);
    names[same.sort().join(' ')] = inode.data.toString();
  }
  return names;
}

const untouched = { one: 'one', 'pair1 pair2': 'pair', last: 'the number of another file' };

const rows: readonly (readonly [string, readonly Edit[], Record<string, string>])[] = [
  ['a second name', [link('two', 'one')], { ...untouched, one: undefined!, 'one two': 'one' }],
  [
    'a name for one of a pair',
    [link('lib/three', 'pair1')],
    { ...untouched, 'pair1 pair2': undefined!, 'pair1 pair2 usr/lib/three': 'pair' },
  ],
  ['a name it has already', [link('pair1', 'pair2')], untouched],
  ['a name in place of another file', [link('last', 'one')], { 'last one': 'one', 'pair1 pair2': 'pair' }],
  [
    'names of a new file',
    [put('b', 'new'), link('c', 'b'), link('a', 'c')],
    { ...untouched, 'a b c': 'new' },
  ],
  [
    'a new name when all old ones go',
    [link('new', 'pair1'), remove('pair1'), remove('pair2')],
    { ...untouched, 'pair1 pair2': undefined!, new: 'pair' },
  ],
  [
    'a new name when an old one is replaced',
    [link('new', 'one'), put('one', 'other')],
    { ...untouched, one: 'other', new: 'one' },
  ],
  [
    'a new name for the replacement',
    [link('new', 'one'), put('one', 'other'), link('newer', 'one')],
    { ...untouched, one: undefined!, 'newer one': 'other', new: 'one' },
  ],
  ['a new name that goes again', [link('new', 'one'), remove('new')], untouched],
];

for (const [title, edits, expected] of rows) {
  test(`links: ${title}`, async (t) => {
    const wanted = Object.fromEntries(Object.entries(expected).filter(([, data]) => data !== undefined));
    t.deepEqual(await filesOf(edits), wanted);
  });
}

test('owner, mode and time are those of the file, under all of its names', async (t) => {
  const fields = { mode: 0o4711, uid: 7, gid: 8, mtime: -1 };
  const edits = [link('new', 'pair1'), link('newer', 'one'), set('new', fields), set('one', fields)];
  const items = await edited(IMAGE, edits);
  const changed = items.filter(({ uid }) => uid === 7);
  t.deepEqual(changed.map(({ name }) => name).sort(), ['new', 'newer', 'one', 'pair1', 'pair2']);
  for (const { mode, gid, mtime } of changed)
    t.deepEqual([mode, gid, mtime], [FILE | 0o4711, 8, 0xffff_ffff]);
});

test('of a directory behind a link, fields are set where a directory must stand', async (t) => {
  const [throughLink, ofLink] = [set('lib', { type: DIR, uid: 5 }), set('lib', { uid: 6 })];
  const items = await edited(IMAGE, [throughLink, ofLink]);
  t.deepEqual(
    items.filter(({ uid }) => uid > 0).map(({ name, uid }) => [name, uid]),
    [
      ['usr/lib', 5],
      ['lib', 6],
    ],
  );
});

test('the root has fields too, whether or not the archive lists it', async (t) => {
  const items = await edited(IMAGE, [set('.', { type: DIR, mode: 0o700 })]);
  t.deepEqual(
    items.slice(IMAGE.length).map(({ name, mode }) => [name, mode]),
    [['.', DIR | 0o700]],
  );
});

test('thinning keeps the directories above what stays', async (t) => {
  const items = [...IMAGE, item({ name: 'usr/lib/deep/file' }), item({ name: 'usr/share/x' })];
  const kept = await edited(items, [thin((path) => path.endsWith('file') || path === 'pair1')]);
  t.deepEqual(
    kept.map(({ name }) => name),
    ['usr', 'usr/lib', 'pair1', 'usr/lib/deep/file'],
  );
  t.is(kept.find(({ name }) => name === 'pair1')?.data.toString(), 'pair');
});

for (const [title, edit, message] of [
  [
    'a name for a directory',
    link('x', 'usr'),
    'test: /usr is a directory, which cannot get another name; make a symbolic link to it',
  ],
  [
    'a name for a symbolic link',
    link('x', 'lib'),
    'test: /lib is a symbolic link, which cannot get another name; make a symbolic link to it',
  ],
  [
    'a name for nothing',
    link('x', 'y'),
    'test: /y is not in the image; list what is with: rackboot image files',
  ],
  ['a directory’s name', link('usr', 'one'), 'test: /usr is a directory in the image; delete it first'],
  [
    'a name outside',
    link('x', '../y'),
    'test: /../y leaves the image; write the path from the image\'s root, without ".."',
  ],
  [
    'another type',
    set('one', { type: DIR }),
    'test: /one is no directory in the image; correct its type, or delete it first',
  ],
] as const) {
  test(`refused: ${title}`, async (t) => {
    const error = await t.throwsAsync(edited(IMAGE, [edit]), { instanceOf: ImageError });
    t.is(error.message, message);
  });
}

test('a file of an earlier archive gets no name in a later one', async (t) => {
  const blobs = new MemoryBlobs();
  const base = await read(
    Buffer.concat([archiveBytes([item({ name: 'early', data: Buffer.from('x') })]), archiveBytes(IMAGE)]),
    blobs,
  );
  const entries = await loadEntries(base, blobs);
  const error = t.throws(() => planEdits(entries, [link('x', 'early')], { mtime: 0 }), {
    instanceOf: ImageError,
  });
  t.is(error.code, 'EDIT_CONFLICT');
});

const more = fc.array(
  fc.record({
    kind: fc.constantFrom('link', 'link', 'link', 'set', 'thin'),
    one: fc.nat(1000),
    other: fc.nat(1000),
    uid: fc.constantFrom(0, 3),
    mode: fc.constantFrom(0o600, 0o4755),
  }),
  { maxLength: 5 },
);

test('links, fields and thinning among other edits leave the tree that they describe', async (t) => {
  let linked = 0;
  await fc.assert(
    fc.asyncProperty(archive, changes, more, fc.boolean(), async (items, wishes, extras, unpackToo) => {
      const small = items.map((one) => ({ ...one, data: one.data.subarray(0, 300) }));
      const tree = FileTree.unpack(small);
      const done: Edit[] = [];
      const attempt = async (edit: Edit): Promise<void> => {
        try {
          await tree.apply(edit, EDIT_TIME);
          done.push(edit);
          if (edit.op === 'link') linked++;
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
        }
      };
      for (let turn = 0; turn < Math.max(wishes.length, extras.length); turn++) {
        const wish = wishes[turn];
        if (wish !== undefined) await attempt(editOf({ ...wish, size: wish.size % 300 }, tree));
        const extra = extras[turn];
        if (extra === undefined) continue;
        const any = (n: number): string => tree.paths[n % Math.max(1, tree.paths.length)] ?? 'nothing';
        if (extra.kind === 'link')
          await attempt(link(extra.one % 3 === 0 ? any(extra.one) : `new${extra.one % 5}`, any(extra.other)));
        else if (extra.kind === 'set')
          await attempt(set(any(extra.one), { uid: extra.uid, mode: extra.mode }));
        else await attempt(thin((path) => (path.length + extra.one) % 7 > 0));
      }
      const blobs = new MemoryBlobs();
      const after = await splice(await read(archiveBytes(small), blobs), done, blobs);
      const plain = Buffer.concat(await plainOf(after, blobs));
      t.deepEqual(describeTree(FileTree.unpack(parseArchive(plain).items)), describeTree(tree));
      if (!unpackToo) return;
      await inDirectory(async (dir) => {
        await output('cpio', ['-idmu', '--quiet', '--no-absolute-filenames'], plain, dir);
        t.deepEqual(await describeDisk(dir), describeTree(tree));
      });
    }),
    { seed: 5, numRuns: 150 },
  );
  t.true(linked > 50, `${linked} links were made`);
});
