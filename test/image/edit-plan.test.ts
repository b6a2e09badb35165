import test from 'ava';
import fc from 'fast-check';
import type { PlacedEntry } from '../../src/image/archive-index.js';
import { loadEntries } from '../../src/image/archive-index.js';
import { canonicalPath, pathToText, type ArchivePath } from '../../src/image/cpio/path.js';
import { contentOf, type Edit } from '../../src/image/edit.js';
import { planEdits } from '../../src/image/edit-plan.js';
import { ImageError, type ImageErrorCode } from '../../src/image/errors.js';
import { archive, changes, DIR, editOf, EDIT_TIME, FILE, LINK } from './archive-models.js';
import { FileTree, Refusal } from './file-tree.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, type Item } from './newc.js';
import { read } from './splicing.js';

const entriesOf = async (items: readonly Item[]): Promise<PlacedEntry[]> => {
  const blobs = new MemoryBlobs();
  return loadEntries(await read(archiveBytes(items), blobs), blobs);
};

const put = (path: string, mode: number, data = ''): Edit => ({
  op: 'put',
  path: canonicalPath(path),
  mode,
  uid: 0,
  gid: 0,
  content: contentOf(Buffer.from(data)),
  ...((mode & 0o170000) === LINK ? { target: data } : {}),
  from: `layer/overlay/${path}`,
});
const putFile = (path: string): Edit => put(path, FILE | 0o644);
const putDir = (path: string): Edit => put(path, DIR | 0o755);
const putLink = (path: string, target: string): Edit => put(path, LINK | 0o777, target);
const remove = (path: string, required = true): Edit => ({
  op: 'delete',
  path: canonicalPath(path),
  required,
  from: `delete /${path}`,
});
const chmod = (path: string, mode = 0o600): Edit => ({
  op: 'chmod',
  path: canonicalPath(path),
  mode,
  from: `chmod /${path}`,
});

const IMAGE: readonly Item[] = [
  item({ name: 'usr', mode: DIR | 0o755 }),
  item({ name: 'usr/lib', mode: DIR | 0o755 }),
  item({ name: 'usr/lib/file', data: Buffer.from('x') }),
  item({ name: 'lib', mode: LINK | 0o777, data: Buffer.from('usr/lib') }),
  item({ name: 'tofile', mode: LINK | 0o777, data: Buffer.from('usr/lib/file') }),
  item({ name: 'dangling', mode: LINK | 0o777, data: Buffer.from('run/nowhere') }),
  item({ name: 'loop', mode: LINK | 0o777, data: Buffer.from('pool') }),
  item({ name: 'pool', mode: LINK | 0o777, data: Buffer.from('loop') }),
  item({ name: 'etc/implicit/file', data: Buffer.from('x') }),
  item({ name: 'runlink', mode: LINK | 0o777, data: Buffer.from('etc/implicit') }),
];

const conflicts: readonly (readonly [string, readonly Edit[], ImageErrorCode, string])[] = [
  [
    'a file over a directory',
    [putFile('usr/lib')],
    'EDIT_CONFLICT',
    'layer/overlay/usr/lib: /usr/lib is a directory in the image; delete it first, or put the file into it',
  ],
  [
    'a file over a directory that has no entry of its own',
    [putFile('etc/implicit')],
    'EDIT_CONFLICT',
    'layer/overlay/etc/implicit: /etc/implicit is a directory in the image; delete it first, or put the file into it',
  ],
  [
    'a link over a directory',
    [putLink('usr', 'x')],
    'EDIT_CONFLICT',
    'layer/overlay/usr: /usr is a directory in the image; delete it first, or put the file into it',
  ],
  [
    'a directory over a file',
    [putDir('usr/lib/file')],
    'EDIT_CONFLICT',
    'layer/overlay/usr/lib/file: /usr/lib/file is a directory here and a file in the image; delete it from the image first',
  ],
  [
    'a directory over a link to a file',
    [putDir('tofile')],
    'EDIT_CONFLICT',
    'layer/overlay/tofile: /tofile is a directory here and a file in the image; delete it from the image first',
  ],
  [
    'a directory over a dangling link',
    [putDir('dangling')],
    'EDIT_CONFLICT',
    'layer/overlay/dangling: /dangling is a directory here and a file in the image; delete it from the image first',
  ],
  [
    'a file below a file',
    [putFile('usr/lib/file/below')],
    'EDIT_CONFLICT',
    'layer/overlay/usr/lib/file/below: /usr/lib/file is a file in the image, so nothing can be put below it; delete it first',
  ],
  [
    'a file below a link to a file',
    [putFile('tofile/below')],
    'EDIT_CONFLICT',
    'layer/overlay/tofile/below: /usr/lib/file is a file in the image, so nothing can be put below it; delete it first',
  ],
  [
    'a file below a file that an earlier edit put',
    [putFile('new'), putFile('new/below')],
    'EDIT_CONFLICT',
    'layer/overlay/new/below: /new is a file in the image, so nothing can be put below it; delete it first',
  ],
  [
    'a file through a loop of links',
    [putFile('loop/below')],
    'EDIT_CONFLICT',
    'layer/overlay/loop/below: /loop/below passes through a loop of symbolic links in the image',
  ],
  [
    'chmod of a loop of links',
    [chmod('loop')],
    'EDIT_CONFLICT',
    'chmod /loop: /loop passes through a loop of symbolic links in the image',
  ],
  [
    'a file in place of the root',
    [putFile('.')],
    'EDIT_CONFLICT',
    'layer/overlay/.: the root of the image is a directory; name a file in it',
  ],
  [
    'deleting the root',
    [remove('')],
    'EDIT_CONFLICT',
    'delete /: the root of the image cannot be deleted; name a path in it',
  ],
  [
    'deleting what is not there',
    [remove('usr/bin')],
    'NO_SUCH_ENTRY',
    'delete /usr/bin: /usr/bin is not in the image; list what is with: rackboot image files',
  ],
  [
    'deleting something twice',
    [remove('lib'), remove('lib')],
    'NO_SUCH_ENTRY',
    'delete /lib: /lib is not in the image; list what is with: rackboot image files',
  ],
  [
    'deleting what went with its directory',
    [remove('usr'), remove('lib/file')],
    'NO_SUCH_ENTRY',
    'delete /lib/file: /lib/file is not in the image; list what is with: rackboot image files',
  ],
  [
    'chmod of what is not there',
    [chmod('usr/bin')],
    'NO_SUCH_ENTRY',
    'chmod /usr/bin: /usr/bin is not in the image; list what is with: rackboot image files',
  ],
  [
    'chmod of a dangling link',
    [chmod('dangling')],
    'NO_SUCH_ENTRY',
    'chmod /dangling: /dangling is not in the image; list what is with: rackboot image files',
  ],
  [
    'a path that leaves the image',
    [putFile('../etc/passwd')],
    'UNSAFE_PATH',
    'layer/overlay/../etc/passwd: /../etc/passwd leaves the image; write the path from the image\'s root, without ".."',
  ],
  [
    'a name longer than NAME_MAX',
    [putFile(`etc/${'n'.repeat(256)}`)],
    'NAME_TOO_LONG',
    `layer/overlay/etc/${'n'.repeat(256)}: /etc/${'n'.repeat(256)}: a name of more than 255 bytes, which no Linux file system takes; shorten it`,
  ],
  [
    'a path with a NUL',
    [remove('usr\0lib')],
    'UNSAFE_PATH',
    'delete /usr\0lib: /usr\\x00lib leaves the image; write the path from the image\'s root, without ".."',
  ],
];

for (const [title, edits, code, message] of conflicts) {
  test(`refused: ${title}`, async (t) => {
    const entries = await entriesOf(IMAGE);
    const error = t.throws(() => planEdits(entries, edits, { mtime: 0 }), { instanceOf: ImageError });
    t.is(error.code, code);
    t.is(error.message, message);
  });
}

const possible: readonly (readonly [string, readonly Edit[], readonly string[], readonly string[]])[] = [
  ['nothing', [], [], []],
  ['a directory that is there', [putDir('usr')], [], []],
  ['a directory that a link leads to', [putDir('lib')], [], []],
  ['a directory without an entry that a link leads to', [putDir('runlink')], [], []],
  ['the root', [putDir('')], [], []],
  ['a file over a file', [putFile('usr/lib/file')], ['usr/lib/file'], []],
  ['a file over a link', [putFile('lib')], ['lib'], []],
  ['a file through a link', [putFile('lib/new')], [], ['usr/lib/new']],
  ['a file through a link to nowhere', [putFile('dangling/x')], [], ['run', 'run/nowhere', 'run/nowhere/x']],
  ['a file in new directories', [putFile('a/b/c')], [], ['a', 'a/b', 'a/b/c']],
  [
    'new files come in order, parents first',
    [putFile('z'), putFile('a/b'), putFile('a-b'), putFile('a/a')],
    [],
    ['a', 'a-b', 'a/a', 'a/b', 'z'],
  ],
  [
    'a file through a new link',
    [putLink('srv', 'usr'), putFile('srv/lib/file'), putFile('srv/x')],
    ['usr/lib/file'],
    ['srv', 'usr/x'],
  ],
  ['a new file put and deleted', [putFile('new'), remove('new')], [], []],
  [
    'a directory in place of a file',
    [remove('usr/lib/file'), putFile('usr/lib/file/below')],
    ['usr/lib/file'],
    ['usr/lib/file', 'usr/lib/file/below'],
  ],
  ['a directory in place of a link', [remove('lib'), putFile('lib/own')], ['lib'], ['lib', 'lib/own']],
  [
    'a file in place of a directory',
    [remove('usr'), putFile('usr')],
    ['usr', 'usr/lib', 'usr/lib/file'],
    ['usr'],
  ],
  ['deleting a directory without an entry', [remove('etc')], ['etc/implicit/file'], []],
  [
    'a file in place of a directory without an entry',
    [remove('etc/implicit'), putFile('etc/implicit')],
    ['etc/implicit/file'],
    ['etc', 'etc/implicit'],
  ],
  ['deleting a link, not what it leads to', [remove('lib')], ['lib'], []],
  ['deleting through a link', [remove('lib/file')], ['usr/lib/file'], []],
  ['deleting what need not be there', [remove('usr/bin', false)], [], []],
  ['chmod through links', [chmod('lib/file')], ['usr/lib/file'], []],
  ['chmod of what a link leads to, as chmod(1) does', [chmod('tofile')], ['usr/lib/file'], []],
  ['chmod of a new file', [putFile('new'), chmod('new', 0o4755)], [], ['new']],
];

for (const [title, edits, changed, added] of possible) {
  test(`possible: ${title}`, async (t) => {
    const entries = await entriesOf(IMAGE);
    const plan = planEdits(entries, edits, { mtime: 0 });
    t.deepEqual(
      [...plan.changed.keys()].sort((a, b) => a - b).map((at) => entries[at]!.rawName),
      [...changed],
    );
    t.deepEqual(
      plan.added.map(({ rawName }) => rawName),
      [...added],
    );
  });
}

test('new entries: owner, time, type, links and permissions', async (t) => {
  const entries = await entriesOf(IMAGE);
  const device: Edit = {
    ...putFile('dev/sda'),
    op: 'put',
    mode: 0o060660,
    uid: 0,
    gid: 6,
    rdev: { major: 8, minor: 16 },
  } as Edit;
  const { added } = planEdits(entries, [device, putFile('f'), chmod('f', 0o4711)], { mtime: 77 });
  t.deepEqual(
    added.map(({ rawName, header: { mode, uid, gid, nlink, mtime, rdevMajor, rdevMinor } }) => [
      rawName,
      mode,
      uid,
      gid,
      nlink,
      mtime,
      rdevMajor,
      rdevMinor,
    ]),
    [
      ['dev', 0o040755, 0, 0, 2, 77, 0, 0],
      ['dev/sda', 0o060660, 0, 6, 1, 77, 8, 16],
      ['f', 0o104711, 0, 0, 1, 77, 0, 0],
    ],
  );
});

for (const [names, added] of [
  [['.', './a', './b'], './new'],
  [['.', 'a', 'b'], 'new'],
  [['/a', '/b'], 'new'],
  [[], 'new'],
] as const) {
  test(`beside ${names.join(' ') || 'nothing'}, a new file is called ${added}`, async (t) => {
    const entries = await entriesOf(names.map((name) => item({ name, mode: DIR | 0o755 })));
    const plan = planEdits(entries, [putFile('new')], { mtime: 0 });
    t.is(plan.added[0]?.rawName, added);
  });
}

test('of a path that stands twice the last is changed, and both are deleted', async (t) => {
  const entries = await entriesOf([item({ name: 'a' }), item({ name: './a' }), item({ name: 'b' })]);
  t.deepEqual([...planEdits(entries, [putFile('a')], { mtime: 0 }).changed.keys()], [1]);
  t.deepEqual([...planEdits(entries, [remove('a')], { mtime: 0 }).changed.keys()], [0, 1]);
});

test('an edit is refused exactly when a file system would refuse it', async (t) => {
  const refused = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(archive, changes, async (items, wishes) => {
      const small = items.map((one) =>
        one.data.length > 300 ? { ...one, data: one.data.subarray(0, 300) } : one,
      );
      const entries = await entriesOf(small);
      const tree = FileTree.unpack(small);
      const done: Edit[] = [];
      for (const wish of wishes) {
        const edit = editOf({ ...wish, size: 10 }, tree);
        const label = 'path' in edit ? `${edit.op} ${pathToText(edit.path)}` : edit.op;
        let refusal: string | undefined;
        try {
          await tree.apply(edit, EDIT_TIME);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          refusal = error.message;
          refused.set(refusal, (refused.get(refusal) ?? 0) + 1);
        }
        const attempt = (): unknown => planEdits(entries, [...done, edit], { mtime: 0 });
        if (refusal === undefined) {
          t.notThrows(attempt, label);
          done.push(edit);
        } else {
          const error = t.throws(attempt, { instanceOf: ImageError }, `${label}: ${refusal}`);
          t.is(error.code, refusal === 'ENOENT' ? 'NO_SUCH_ENTRY' : 'EDIT_CONFLICT');
        }
      }
    }),
    { seed: 1, numRuns: 300 },
  );
  for (const refusal of ['ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST'])
    t.true((refused.get(refusal) ?? 0) > 5, `${refusal} was met ${refused.get(refusal)} times`);
});

test('links to links are followed as far as the kernel does, and no further', async (t) => {
  const chain = (length: number): Item[] =>
    Array.from({ length }, (_, n) =>
      item({ name: `l${n}`, mode: LINK | 0o777, data: Buffer.from(n + 1 === length ? '.' : `l${n + 1}`) }),
    );
  const edits = [putFile('l0/new')];
  const plan = planEdits(await entriesOf(chain(40)), edits, { mtime: 0 });
  t.is(plan.added[0]?.rawName as ArchivePath, 'new' as ArchivePath);
  const tooLong = await entriesOf(chain(41));
  t.is(
    t.throws(() => planEdits(tooLong, edits, { mtime: 0 }), { instanceOf: ImageError }).code,
    'EDIT_CONFLICT',
  );
});
