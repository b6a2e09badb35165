import { chmod as chmodFile, link, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { ArchiveDescriptor } from '../../../src/image/archive.js';
import { loadEntries } from '../../../src/image/archive-index.js';
import { decodeDescriptor, encodeDescriptor } from '../../../src/image/archive.js';
import { pathFromText } from '../../../src/image/cpio/path.js';
import type { Edit } from '../../../src/image/edit.js';
import { MemoryBlobs } from '../memory-blobs.js';
import { inDirectory, output } from '../programs.js';
import { chmod, fileOf, plainOf, put, read, remove, splice } from '../splicing.js';

const LONG = `deep/${'a-directory-with-a-long-name/'.repeat(8)}file`;

/** A root tree with what tar tells in different ways. */
async function makeRoot(dir: string): Promise<string> {
  const root = path.join(dir, 'root');
  await mkdir(path.join(root, 'usr/lib'), { recursive: true });
  await mkdir(path.join(root, 'etc'));
  await mkdir(path.dirname(path.join(root, LONG)), { recursive: true });
  await writeFile(path.join(root, LONG), 'long\n');
  await symlink('usr/lib', path.join(root, 'lib'));
  await writeFile(path.join(root, 'etc/passwd'), 'root:x:0:0\n');
  await writeFile(path.join(root, 'etc/shadow'), 'secret\n');
  await chmodFile(path.join(root, 'etc/shadow'), 0o4755);
  await writeFile(path.join(root, 'usr/lib/big'), Buffer.alloc(3_000_000, 'some bytes of a library '));
  for (const name of ['b', 'c', 'd']) await writeFile(path.join(root, `usr/${name}`), `${name}\n`);
  await link(path.join(root, 'usr/b'), path.join(root, 'usr/hard-1'));
  await link(path.join(root, 'usr/b'), path.join(root, 'usr/hard-2'));
  return root;
}

/** What GNU tar says of each entry: type and mode, owner, size, name and link. */
async function listed(file: Buffer): Promise<string[]> {
  const text = await output('tar', ['-tvf', '-', '--numeric-owner', '--full-time'], await plain(file));
  return text.toString('utf8').trimEnd().split('\n');
}

const contentOf = async (file: Buffer, name: string): Promise<string> =>
  (await output('tar', ['-xOf', '-', name], await plain(file))).toString('utf8');

interface Packing {
  readonly name: string;
  readonly args: readonly string[];
  readonly program?: string;
}

const PACKINGS: readonly Packing[] = [
  { name: 'plain, GNU', args: ['--format=gnu'] },
  { name: 'plain, pax', args: ['--format=pax'] },
  { name: 'gzip', args: ['-z'] },
  { name: 'bzip2', args: ['-j'] },
  { name: 'xz', args: ['-J'] },
  { name: 'zstd', args: ['--zstd'] },
  { name: 'bsdtar, gzip', args: ['-z', '--format=pax'], program: 'bsdtar' },
];

async function pack(root: string, { args, program = 'tar' }: Packing): Promise<Buffer> {
  const order = program === 'tar' ? ['--sort=name'] : [];
  return output(program, ['-C', root, ...args, ...order, '-cf', '-', '.']);
}

/** The plain archive of a file. */
const plain = async (file: Buffer): Promise<Buffer> => output('bsdcat', [], file);

for (const packing of PACKINGS) {
  test(`${packing.name}: comes back as it was, and edits leave all other entries byte for byte`, async (t) => {
    await inDirectory(async (dir) => {
      const blobs = new MemoryBlobs();
      const file = await pack(await makeRoot(dir), packing);
      const base = await read(file, blobs);
      t.deepEqual(decodeDescriptor(encodeDescriptor(base)), base);
      t.true((await plain(fileOf(base, blobs))).equals(await plain(file)));
      const edits: Edit[] = [
        put('/etc/passwd', 'changed\n'),
        put('/lib/new', 'new\n'),
        put(`/${LONG}-new`, 'also long\n'),
        remove('/usr/c'),
        chmod('/etc/shadow', 0o600),
      ];
      const edited = await splice(base, edits, blobs);
      const after = fileOf(edited, blobs);
      const [was, now] = [await listed(file), await listed(after)];
      const changed = /etc\/passwd|etc\/shadow|usr\/c$|lib\/new|file-new/;
      t.deepEqual(
        now.filter((line) => !changed.test(line)),
        was.filter((line) => !changed.test(line)),
      );
      t.deepEqual(
        now
          .filter((line) => changed.test(line))
          .map((line) => line.replace(/ +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?/, '').replace(/ +/g, ' '))
          .sort(),
        [
          '-rw------- 0/0 7 ./etc/shadow',
          '-rw-r--r-- 0/0 10 ./' + LONG + '-new',
          '-rw-r--r-- 0/0 4 ./usr/lib/new',
          '-rw-r--r-- 0/0 8 ./etc/passwd',
        ].sort(),
      );
      t.is(await contentOf(after, './etc/passwd'), 'changed\n');
      t.is(await contentOf(after, './etc/shadow'), 'secret\n');
      t.is(await contentOf(after, './usr/lib/new'), 'new\n');
      t.is(await contentOf(after, `./${LONG}-new`), 'also long\n');
      t.is((await output('bsdtar', ['-tf', '-'], after)).toString().split('\n').length, now.length + 1);
      if (packing.program === undefined) t.is((await plain(after)).length % 10240, 0, 'whole records');
      await sameAsReadAgain(t.deepEqual, edited, after, blobs);
    });
  });
}

/** What a splice says that an archive holds is what reading that archive finds. */
async function sameAsReadAgain(
  same: (a: unknown, b: unknown) => unknown,
  edited: ArchiveDescriptor,
  file: Buffer,
  blobs: MemoryBlobs,
): Promise<void> {
  const again = await read(file, blobs);
  const entries = async (one: ArchiveDescriptor): Promise<unknown> =>
    (await loadEntries(one, blobs)).map(
      ({ path: where, rawName, header, offset, dataOffset, end, target, tar }) => ({
        ...{ where, rawName, offset, dataOffset, end, target, tar },
        header: { ...header, ino: 0 },
      }),
    );
  same(await entries(edited), await entries(again));
  same((await plainOf(edited, blobs))[0]?.length, (await plainOf(again, blobs))[0]?.length);
}

const LINKS: readonly (readonly [string, readonly Edit[], Readonly<Record<string, string>>])[] = [
  [
    'the name with the data goes: the next one gets it',
    [remove('/usr/b')],
    { './usr/hard-1': '-', './usr/hard-2': 'link to ./usr/hard-1' },
  ],
  [
    'a link goes: the others stay',
    [remove('/usr/hard-1')],
    { './usr/b': '-', './usr/hard-2': 'link to ./usr/b' },
  ],
  [
    'the name with the data becomes a file of its own',
    [put('/usr/b', 'own\n')],
    { './usr/b': '-', './usr/hard-1': '-', './usr/hard-2': 'link to ./usr/hard-1' },
  ],
  ['all but one go', [remove('/usr/b'), remove('/usr/hard-1')], { './usr/hard-2': '-' }],
  [
    'a new name',
    [{ op: 'link', path: pathFromText('/etc/again'), to: pathFromText('/usr/hard-1'), from: 'test' }],
    {
      './usr/b': '-',
      './usr/hard-1': 'link to ./usr/b',
      './usr/hard-2': 'link to ./usr/b',
      './etc/again': 'link to ./usr/b',
    },
  ],
  [
    'a new name for a file that had one',
    [{ op: 'link', path: pathFromText('/etc/again'), to: pathFromText('/usr/c'), from: 'test' }],
    { './usr/c': '-', './etc/again': 'link to ./usr/c' },
  ],
];

for (const [name, edits, expected] of LINKS) {
  test(`hard links: ${name}`, async (t) => {
    await inDirectory(async (dir) => {
      const blobs = new MemoryBlobs();
      const base = await read(await pack(await makeRoot(dir), { name: 'gzip', args: ['-z'] }), blobs);
      const edited = await splice(base, edits, blobs);
      const after = fileOf(edited, blobs);
      const lines = await listed(after);
      for (const [file, what] of Object.entries(expected)) {
        const line = lines.find((one) => one.includes(` ${file}`) && !one.includes(`link to ${file}`));
        t.truthy(line, file);
        if (what === '-') t.true(line?.startsWith('-'), line);
        else t.true(line?.endsWith(what), line);
      }
      for (const file of ['usr/b', 'usr/hard-1', 'usr/hard-2'])
        if (`./${file}` in expected) {
          const root = path.join(dir, 'out');
          await output('sh', ['-c', `rm -rf ${root} && mkdir ${root}`]);
          await output('tar', ['-C', root, '-xf', '-'], await plain(after));
          const text = (await output('cat', [path.join(root, file)])).toString();
          t.is(text, name.includes('of its own') && file === 'usr/b' ? 'own\n' : 'b\n');
        }
      await sameAsReadAgain(t.deepEqual, edited, after, blobs);
    });
  });
}

test('an edit that changes nothing gives the archive itself; a change of one file leaves most segments', async (t) => {
  await inDirectory(async (dir) => {
    const blobs = new MemoryBlobs();
    const base = await read(await pack(await makeRoot(dir), { name: 'gzip', args: ['-z'] }), blobs);
    t.is(await splice(base, [chmod('/etc/passwd', 0o644)], blobs), base);
    const edited = await splice(base, [put('/etc/passwd', 'x')], blobs);
    const [before, after] = [base, edited].map(({ frames }) => frames[0]!.segments.map(({ blob }) => blob));
    t.true(after!.filter((blob) => before!.includes(blob)).length >= before!.length - 2);
  });
});

test('extended attributes and exact times stay with the file, whatever changes of its header', async (t) => {
  await inDirectory(async (dir) => {
    const root = await makeRoot(dir);
    const args = [
      '-C',
      root,
      '-cf',
      '-',
      '--format=pax',
      '--pax-option=SCHILY.xattr.user.note:=kept',
      './etc/passwd',
    ];
    const blobs = new MemoryBlobs();
    const base = await read(await output('tar', args), blobs);
    const moved: Edit = {
      op: 'link',
      path: pathFromText('/a-new-name'),
      to: pathFromText('/etc/passwd'),
      from: 'test',
    };
    for (const edits of [[chmod('/etc/passwd', 0o600)], [moved, remove('/etc/passwd')]]) {
      const file = fileOf(await splice(base, edits, blobs), blobs);
      t.true(file.includes('SCHILY.xattr.user.note=kept'));
      t.regex(file.toString('latin1'), /mtime=\d+\.\d+\n/);
    }
  });
});

test('a tar archive beside another archive is refused, since tar would not read both', async (t) => {
  await inDirectory(async (dir) => {
    const root = await makeRoot(dir);
    const one = await pack(root, { name: 'plain', args: [] });
    const packed = await pack(root, { name: 'gzip', args: ['-z'] });
    for (const file of [Buffer.concat([one, one]), Buffer.concat([packed, packed])])
      await t.throwsAsync(read(file, new MemoryBlobs()), {
        code: 'UNKNOWN_CODEC',
        message: /tar reads only the first/,
      });
  });
});
