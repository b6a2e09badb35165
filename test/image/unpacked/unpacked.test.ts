import test from 'ava';
import fc from 'fast-check';
import {
  appendFile,
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readFile,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { FrameReader, loadEntries } from '../../../src/image/archive-index.js';
import type { ArchiveDescriptor } from '../../../src/image/archive.js';
import type { ArchivePath } from '../../../src/image/cpio/path.js';
import { ImageError, type ImageErrorCode } from '../../../src/image/errors.js';
import { readArchive } from '../../../src/image/read-archive.js';
import { zeroCounts, type SegmentCounts } from '../../../src/image/segment-writer.js';
import { ArchiveTree } from '../../../src/image/tree.js';
import { gatherEntries } from '../../../src/image/unpacked/gather.js';
import { packPart } from '../../../src/image/unpacked/pack.js';
import { placeEntries } from '../../../src/image/unpacked/placement.js';
import { decodeRecord, encodeRecord, type RecordOrigin } from '../../../src/image/unpacked/record.js';
import { unpackInto } from '../../../src/image/unpacked/unpack.js';
import type { WholeCodec } from '../../../src/image/whole/codecs.js';
import { sha256 } from '../../../src/store/digest.js';
import { archive as archives, DIR, FILE, LINK } from '../archive-models.js';
import { describeDisk } from '../file-tree.js';
import { inChunks, MemoryBlobs } from '../memory-blobs.js';
import { archiveBytes, item, parseArchive, type Item } from '../newc.js';
import { inDirectory, output } from '../programs.js';
import { fileOf, plainOf } from '../splicing.js';

interface Image {
  readonly blobs: MemoryBlobs;
  readonly descriptor: ArchiveDescriptor;
}

async function image(file: Buffer): Promise<Image> {
  const blobs = new MemoryBlobs();
  return { blobs, descriptor: await readArchive(inChunks(file, [65_536]), blobs, zeroCounts()) };
}

/** Unpacks a part into `directory` and gives back the text of its record. */
async function unpack(
  { blobs, descriptor }: Image,
  directory: string,
  privileged: boolean,
  part = 1,
): Promise<string> {
  const entries = (await loadEntries(descriptor, blobs)).filter((entry) => entry.archive === part - 1);
  const tree = new ArchiveTree(entries);
  const placed = placeEntries(entries);
  await unpackInto(directory, placed, {
    privileged,
    read(entry) {
      const { frame, dataOffset, header } = tree.dataOf(entry);
      return new FrameReader(descriptor.frames[frame]!, blobs).read(dataOffset, dataOffset + header.size);
    },
  });
  const origin: RecordOrigin = {
    osimage: 'x',
    generation: sha256('x'),
    archive: 'a',
    part,
    owners: privileged ? 'disk' : 'record',
  };
  return encodeRecord(origin, placed);
}

async function pack(
  { blobs, descriptor }: Image,
  directory: string,
  record: string | undefined,
  compress?: WholeCodec,
  part = 1,
  counts: SegmentCounts = zeroCounts(),
): Promise<ArchiveDescriptor> {
  const entries = (await loadEntries(descriptor, blobs)).filter((entry) => entry.archive === part - 1);
  const base = {
    placed: record === undefined ? new Map() : placeEntries(entries),
    record: record === undefined ? undefined : decodeRecord(record, 'x.mtree'),
  };
  const gathered = await gatherEntries(directory, base);
  return packPart(descriptor, gathered, { part, compress }, { blobs, writer: blobs, counts, earlier: [] });
}

const plain = async (blobs: MemoryBlobs, descriptor: ArchiveDescriptor): Promise<Buffer> =>
  Buffer.concat(await plainOf(descriptor, blobs));

const ITEMS: readonly Item[] = [
  item({ name: '.', mode: DIR | 0o755, nlink: 3, ino: 1, mtime: 1_400_000_000 }),
  item({ name: 'etc', mode: DIR | 0o750, nlink: 2, ino: 2, mtime: 1_400_000_001 }),
  item({
    name: 'etc/shadow',
    mode: FILE,
    ino: 3,
    gid: 42,
    data: Buffer.from('root:*\n'),
    mtime: 4_000_000_000,
  }),
  item({ name: 'usr', mode: DIR | 0o755, nlink: 2, ino: 4 }),
  item({ name: 'usr/lib', mode: DIR | 0o1777, nlink: 2, ino: 5 }),
  item({ name: 'lib', mode: LINK | 0o777, ino: 6, data: Buffer.from('usr/lib') }),
  item({ name: 'lib/su', mode: FILE | 0o4755, ino: 7, uid: 0, data: Buffer.from('suid'), mtime: 7 }),
  item({ name: 'h1', mode: FILE | 0o644, ino: 8, nlink: 2 }),
  item({ name: 'h2', mode: FILE | 0o644, ino: 8, nlink: 2, data: Buffer.from('shared') }),
  item({ name: 'null', mode: 0o020666, ino: 9, rdev: [1, 3] }),
  item({ name: 'loop', mode: 0o060660, ino: 10, gid: 6, rdev: [7, 200] }),
  item({ name: 'pipe', mode: 0o010600, ino: 11, uid: 1000 }),
  item({ name: 'sock', mode: 0o140755, ino: 12 }),
  item({
    name: 'caf\xe9 *?[=#]\\n\n',
    mode: FILE | 0o600,
    ino: 13,
    uid: 65534,
    data: Buffer.alloc(2_500_000, 'abc'),
  }),
  item({ name: 'dangling', mode: LINK | 0o777, ino: 14, uid: 5, data: Buffer.from('/no/\xff') }),
];

const who = (privileged: boolean): string => (privileged ? 'as root' : 'without root');

for (const privileged of [true, false]) {
  test(`${who(privileged)}: unpacked and packed again, the archive is what it was, byte for byte`, async (t) => {
    const one = await image(archiveBytes(ITEMS));
    await inDirectory(async (dir) => {
      const record = await unpack(one, `${dir}/x`, privileged);
      const counts = zeroCounts();
      const packed = await pack(one, `${dir}/x`, record, undefined, 1, counts);
      t.is(packed, one.descriptor);
      t.is(counts.compressed, 0);
      if (!privileged) {
        t.is((await lstat(`${dir}/x/etc/shadow`)).mode & 0o7777, 0o600);
        t.is((await lstat(`${dir}/x/usr/lib/su`)).mode & 0o7777, 0o755);
        await t.throwsAsync(lstat(`${dir}/x/null`));
      }
    });
  });

  test(`${who(privileged)}: what is done in the directory is what changes in the archive`, async (t) => {
    const one = await image(archiveBytes(ITEMS));
    await inDirectory(async (dir) => {
      const root = `${dir}/x`;
      const record = (await unpack(one, root, privileged)).replace(/^(\.\/etc\/shadow .*)uid=0/m, '$1uid=33');
      await appendFile(`${root}/usr/lib/su`, '!');
      await unlink(`${root}/pipe`);
      await mkdir(`${root}/new`, { mode: 0o755 });
      await writeFile(`${root}/new/file`, 'new\n', { mode: 0o640 });
      await link(`${root}/h1`, `${root}/h3`);
      await symlink('target', `${root}/new/link`);
      await chmod(`${root}/etc`, 0o700);
      if (privileged) await chown(`${root}/etc/shadow`, 33, 42);
      const before = parseArchive(await plain(one.blobs, one.descriptor)).items;
      const after = parseArchive(await plain(one.blobs, await pack(one, root, record))).items;
      const named = (items: readonly Item[], name: string): Item =>
        items.find((other) => other.name === name)!;
      t.deepEqual(
        after.map(({ name }) => name),
        [
          ...ITEMS.map(({ name }) => name).filter((name) => name !== 'pipe'),
          'h3',
          'new',
          'new/file',
          'new/link',
        ],
      );
      t.is(named(after, 'lib/su').data.toString(), 'suid!');
      t.is(named(after, 'etc/shadow').uid, 33);
      t.is(named(after, 'etc').mode, DIR | 0o700);
      t.deepEqual(
        ['h1', 'h2', 'h3'].map((name) => named(after, name).nlink),
        [3, 3, 3],
      );
      t.is(new Set(['h1', 'h2', 'h3'].map((name) => named(after, name).ino)).size, 1);
      t.is(named(after, 'h3').data.toString(), 'shared');
      t.deepEqual([named(after, 'h1').data.length, named(after, 'h2').data.length], [0, 0]);
      t.is(named(after, 'new/file').mode, FILE | 0o640);
      t.is(named(after, 'new/link').data.toString(), 'target');
      for (const name of ['null', 'loop', 'sock', 'dangling', 'caf\xe9 *?[=#]\\n\n'])
        t.deepEqual(named(after, name), named(before, name), name);
    });
  });
}

test('as root: the directory is what GNU cpio makes of the archive', async (t) => {
  const withoutLinkedName = ITEMS.filter(({ mode }) => (mode & 0o170000) !== 0o140000);
  const file = archiveBytes(withoutLinkedName);
  const one = await image(file);
  await inDirectory(async (dir) => {
    await mkdir(`${dir}/cpio`);
    await output('cpio', ['-idm', '--quiet'], file, `${dir}/cpio`);
    await unpack(one, `${dir}/ours`, true);
    t.deepEqual(await describeDisk(`${dir}/ours`), await describeDisk(`${dir}/cpio`));
  });
});

/** The first entry that differs between two archives. */
function difference(actual: Buffer, expected: Buffer): string {
  const [left, right] = [parseArchive(actual), parseArchive(expected)];
  const at = right.items.findIndex((one, place) => JSON.stringify(one) !== JSON.stringify(left.items[place]));
  const show = (one: Item | undefined): string => JSON.stringify({ ...one, data: one?.data.length });
  return `${left.items.length}/${right.items.length} entries: ${show(left.items[at])} for ${show(right.items[at])}`;
}

test('any archive: unpacked as root as GNU cpio does, and packed again as it was, with root and without', async (t) => {
  await fc.assert(
    fc.asyncProperty(archives, async (items) => {
      const names = items.map(({ name }) => name);
      fc.pre(new Set(names).size === names.length); // of entries with one name only the last is on disk
      const file = archiveBytes(items);
      const one = await image(file);
      await inDirectory(async (dir) => {
        for (const privileged of [true, false]) {
          const record = await unpack(one, `${dir}/${privileged}`, privileged);
          const packed = await pack(one, `${dir}/${privileged}`, record);
          const bytes = await plain(one.blobs, packed);
          if (!bytes.equals(file)) throw new Error(`${who(privileged)}: ${difference(bytes, file)}`);
        }
        const sockets = items.some(({ mode }) => (mode & 0o170000) === 0o140000);
        if (sockets) return;
        await mkdir(`${dir}/cpio`);
        await output('cpio', ['-idm', '--quiet'], file, `${dir}/cpio`);
        t.deepEqual(await describeDisk(`${dir}/true`), await describeDisk(`${dir}/cpio`));
      });
    }),
    { numRuns: 25 },
  );
});

test('libarchive reads the record', async (t) => {
  const items = ITEMS.filter(({ mode }) => (mode & 0o170000) !== 0o140000); // bsdtar knows no sockets
  const one = await image(archiveBytes(items));
  await inDirectory(async (dir) => {
    await writeFile(`${dir}/x.mtree`, await unpack(one, `${dir}/x`, false), 'latin1');
    const listed = await output('bsdtar', ['-tvf', `${dir}/x.mtree`]);
    t.is(listed.toString('latin1').trimEnd().split('\n').length, items.length);
    t.regex(listed.toString('latin1'), /^crw-rw-rw- .* 1,\s*3 .*null$/m);
    t.regex(listed.toString('latin1'), /^-rwsr-xr-x .*lib\/su$/m);
  });
});

test('without a record the directory is packed as it is on disk', async (t) => {
  const one = await image(archiveBytes(ITEMS));
  await inDirectory(async (dir) => {
    await mkdir(`${dir}/x/b`, { recursive: true, mode: 0o755 });
    await writeFile(`${dir}/x/b/c`, 'c', { mode: 0o644 });
    await link(`${dir}/x/b/c`, `${dir}/x/a`);
    await output('mknod', [`${dir}/x/null`, 'c', '1', '3']);
    for (const name of ['a', 'null']) await utimes(`${dir}/x/${name}`, 1_500_000_000, 1_500_000_000);
    const packed = await plain(one.blobs, await pack(one, `${dir}/x`, undefined));
    const { items } = parseArchive(packed);
    t.deepEqual(
      items.map(({ name, nlink }) => [name, nlink]),
      [
        ['a', 2],
        ['b', 2],
        ['b/c', 2],
        ['null', 1],
      ],
    );
    t.deepEqual(items[3]!.rdev, [1, 3]);
    await mkdir(`${dir}/cpio`);
    await output('cpio', ['-idm', '--quiet'], packed, `${dir}/cpio`);
    t.deepEqual(await describeDisk(`${dir}/cpio`), await describeDisk(`${dir}/x`));
  });
});

for (const [codec, program] of [
  ['pigz', 'gzip'],
  ['gzip', 'gzip'],
  ['bzip2', 'bzip2'],
  ['xz', 'xz'],
  ['zstd', 'zstd'],
] as const) {
  test(`packed with ${codec}: one stream that ${program} reads, and other parts stay`, async (t) => {
    const early = archiveBytes([item({ name: 'early', data: Buffer.from('microcode') })]);
    const main = archiveBytes(ITEMS);
    const one = await image(Buffer.concat([early, main]));
    await inDirectory(async (dir) => {
      const record = await unpack(one, `${dir}/x`, true, 2);
      const counts = zeroCounts();
      const file = fileOf(await pack(one, `${dir}/x`, record, codec, 2, counts), one.blobs);
      t.deepEqual(counts.wholes, [{ codec, plain: main.length }]);
      t.true(file.subarray(0, early.length).equals(early));
      t.true((await output(program, ['-dc'], file.subarray(early.length))).equals(main));
      const again = await readArchive(inChunks(file, [4096]), new MemoryBlobs(), zeroCounts());
      t.is(again.frames.length, 2);
    });
  });
}

const hostile: readonly {
  readonly what: string;
  readonly items: readonly Item[];
  readonly code: ImageErrorCode;
  readonly message: RegExp;
}[] = [
  {
    what: 'a file as a directory',
    items: [item({ name: 'a' }), item({ name: 'a/b' })],
    code: 'EXTRACT_FAILED',
    message: /\/a\/b at offset 112 .*lies below \/a,/,
  },
  {
    what: 'a file over a directory',
    items: [item({ name: 'a', mode: DIR | 0o755 }), item({ name: 'a' })],
    code: 'EXTRACT_FAILED',
    message: /something else/,
  },
  {
    what: 'a directory over a link',
    items: [
      item({ name: 'a', mode: LINK | 0o777, data: Buffer.from('/tmp') }),
      item({ name: 'a', mode: DIR | 0o755 }),
    ],
    code: 'EXTRACT_FAILED',
    message: /something else/,
  },
  {
    what: 'a loop of links',
    items: [item({ name: 'a', mode: LINK | 0o777, data: Buffer.from('a') }), item({ name: 'a/b' })],
    code: 'EXTRACT_FAILED',
    message: /loop of symbolic links/,
  },
];
for (const { what, items, code, message } of hostile) {
  test(`hostile: ${what} is refused before anything is written`, async (t) => {
    const one = await image(archiveBytes(items));
    await inDirectory(async (dir) => {
      const error = await t.throwsAsync(unpack(one, `${dir}/x`, true), { instanceOf: ImageError });
      t.is(error.code, code);
      t.regex(error.message, message);
      await t.throwsAsync(lstat(`${dir}/x`), { code: 'ENOENT' });
    });
  });
}

test('hostile: a name with .., as an earlier release may have stored it, has no place', async (t) => {
  const { descriptor, blobs } = await image(archiveBytes([item({ name: 'a' })]));
  const entries = await loadEntries(descriptor, blobs);
  for (const path of ['../outside', 'a/../../outside']) {
    const stored = entries.map((entry) => ({ ...entry, path: path as ArchivePath }));
    t.throws(() => placeEntries(stored), { instanceOf: ImageError, code: 'UNSAFE_PATH' });
  }
});

test('hostile: links that lead out of the image are followed inside it, and absolute names lie in it', async (t) => {
  await inDirectory(async (dir) => {
    const outside = `${dir}/outside`;
    await mkdir(outside);
    const one = await image(
      archiveBytes([
        item({ name: 'out', mode: LINK | 0o777, data: Buffer.from(outside) }),
        item({ name: 'out/file', data: Buffer.from('1') }),
        item({ name: 'up', mode: LINK | 0o777, data: Buffer.from('../../outside') }),
        item({ name: 'up/other', data: Buffer.from('2') }),
        item({ name: `${outside}/absolute`, data: Buffer.from('3') }),
        item({ name: 'last', mode: LINK | 0o777, data: Buffer.from(`${outside}/late`) }),
        item({ name: 'last', data: Buffer.from('4') }),
      ]),
    );
    await unpack(one, `${dir}/x`, true);
    t.deepEqual(await describeDisk(outside), []);
    t.is(await readFile(`${dir}/x${outside}/file`, 'utf8'), '1');
    t.is(await readFile(`${dir}/x/outside/other`, 'utf8'), '2');
    t.is(await readFile(`${dir}/x${outside}/absolute`, 'utf8'), '3');
    t.is(await readFile(`${dir}/x/last`, 'utf8'), '4');
    t.true((await lstat(`${dir}/x/last`)).isFile());
  });
});

test('a directory that holds something is not written to', async (t) => {
  const one = await image(archiveBytes(ITEMS));
  await inDirectory(async (dir) => {
    await symlink('/tmp', `${dir}/etc`);
    await t.throwsAsync(unpack(one, dir, true), { code: 'EXTRACT_FAILED', message: /not empty/ });
    await rm(`${dir}/etc`);
  });
});
