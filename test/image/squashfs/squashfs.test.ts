import { chmod as chmodFile, link, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { decodeDescriptor, encodeDescriptor } from '../../../src/image/archive.js';
import { zeroCounts } from '../../../src/image/segment-writer.js';
import { decodeSuperblock } from '../../../src/image/squashfs/superblock.js';
import { readArchive } from '../../../src/image/read-archive.js';
import { DEFAULT_LIMITS } from '../../../src/image/unpack-limits.js';
import { inChunks, MemoryBlobs } from '../memory-blobs.js';
import { inDirectory, output, run } from '../programs.js';
import { chmod, fileOf, put, read, remove, splice } from '../splicing.js';

/** A root tree, and the squashfs that mksquashfs makes of it with `args`. */
async function makeSquashfs(dir: string, args: readonly string[], name = 'made'): Promise<Buffer> {
  const root = path.join(dir, 'root');
  await output('rm', ['-rf', root]);
  await mkdir(path.join(root, 'usr/lib'), { recursive: true });
  await mkdir(path.join(root, 'etc'));
  await symlink('usr/lib', path.join(root, 'lib'));
  await writeFile(path.join(root, 'etc/passwd'), 'root:x:0:0\n');
  await writeFile(path.join(root, 'etc/shadow'), 'secret\n');
  await chmodFile(path.join(root, 'etc/shadow'), 0o4755);
  await writeFile(path.join(root, 'usr/lib/big'), Buffer.alloc(2_000_000, 'some bytes of a library '));
  await output('truncate', ['-s', '3M', path.join(root, 'usr/sparse')]);
  await link(path.join(root, 'etc/passwd'), path.join(root, 'usr/hard'));
  await output('mkfifo', [path.join(root, 'fifo')]);
  await output('mknod', [path.join(root, 'null'), 'c', '1', '3']);
  await chmodFile(root, 0o751);
  for (const one of ['etc/passwd', 'etc/shadow', 'usr/lib/big', 'etc', 'usr', 'usr/lib', '.'])
    await utimes(path.join(root, one), 1_600_000_000, 1_600_000_000);
  const file = path.join(dir, name);
  await output('mksquashfs', [root, file, '-quiet', '-no-progress', '-force-uid', '7', ...args]);
  return readFile(file);
}

/** What unsquashfs lists: type and mode, owner, size or device, time, name. */
async function listed(dir: string, bytes: Buffer): Promise<string[]> {
  const file = path.join(dir, 'listed');
  await writeFile(file, bytes);
  const text = (await output('unsquashfs', ['-lln', '-UTC', file])).toString('utf8');
  return text.trimEnd().split('\n');
}

async function contentOf(dir: string, bytes: Buffer, name: string): Promise<string> {
  const file = path.join(dir, 'content');
  await writeFile(file, bytes);
  return (await output('unsquashfs', ['-no-wildcards', '-cat', file, name])).toString('utf8');
}

/** What being made again keeps of how a squashfs was made; of the flags, the export table. */
function kept(bytes: Buffer): unknown {
  const { size: _size, flags, ...rest } = decodeSuperblock(bytes);
  return { ...rest, flags: flags & 0x80 };
}

const TABLE: readonly (readonly [string, readonly string[]])[] = [
  ['gzip', []],
  [
    'gzip with options',
    ['-Xcompression-level', '5', '-Xwindow-size', '12', '-Xstrategy', 'default,filtered'],
  ],
  ['xz', ['-comp', 'xz', '-b', '256K', '-Xbcj', 'x86,arm', '-Xdict-size', '50%']],
  ['zstd', ['-comp', 'zstd', '-Xcompression-level', '3', '-b', '1M', '-no-fragments', '-no-exports']],
  ['tail ends', ['-tailends']],
  ['nothing compressed', ['-noI', '-noD', '-noF', '-noX', '-no-duplicates']],
];

for (const [name, args] of TABLE) {
  test(`squashfs, ${name}: served as it was, and made again the same way`, async (t) => {
    await inDirectory(async (dir) => {
      const blobs = new MemoryBlobs();
      const file = await makeSquashfs(dir, args);
      const base = await read(file, blobs);
      t.deepEqual(decodeDescriptor(encodeDescriptor(base)), base);
      t.true(fileOf(base, blobs).equals(file));
      const counts = zeroCounts();
      const edits = [put('/lib/new', 'new\n'), remove('/null'), chmod('/etc/shadow', 0o600)];
      const edited = await splice(base, edits, blobs, [], counts);
      t.deepEqual(
        counts.wholes.map(({ codec }) => codec),
        ['squashfs'],
      );
      const after = fileOf(edited, blobs);
      t.deepEqual(kept(after), kept(file), 'compressor and its options, block size, flags, time');
      const changed = /root$|\/null$|shadow$|lib\/new$|usr\/lib$/;
      const was = await listed(dir, file);
      const lines = await listed(dir, after);
      t.deepEqual(
        lines.filter((line) => !changed.test(line)),
        was.filter((line) => !changed.test(line)),
      );
      t.regex(lines[0] ?? '', /^drwxr-x--x 7\/0 /, 'the root directory too');
      t.true(lines.some((line) => /^-rw------- 7\/0 +7 2020-09-13 12:26 .*shadow$/.test(line)));
      t.false(lines.some((line) => line.endsWith('/null')));
      t.is(await contentOf(dir, after, 'usr/lib/new'), 'new\n');
      t.is(await contentOf(dir, after, 'usr/hard'), 'root:x:0:0\n');
      const again = new MemoryBlobs();
      const other = await splice(await read(file, again), edits, again);
      t.true(fileOf(other, again).equals(after), 'the same edits give the same bytes');
    });
  });
}

test('extended attributes stay', async (t) => {
  await inDirectory(async (dir) => {
    await makeSquashfs(dir, []);
    const tar = await output('tar', [
      ...[
        '-C',
        path.join(dir, 'root'),
        '-cf',
        '-',
        '--format=pax',
        '--pax-option=SCHILY.xattr.user.note:=kept',
        'etc',
      ],
    ]);
    const made = path.join(dir, 'xattrs');
    await output('tar2sqfs', ['-q', made], tar);
    const blobs = new MemoryBlobs();
    const edited = fileOf(
      await splice(await read(await readFile(made), blobs), [chmod('/etc/passwd', 0o600)], blobs),
      blobs,
    );
    await writeFile(path.join(dir, 'edited'), edited);
    t.true((await output('sqfs2tar', [path.join(dir, 'edited')])).includes('SCHILY.xattr.user.note=kept'));
  });
});

test('options that are not kept are told', async (t) => {
  await inDirectory(async (dir) => {
    const notes: string[] = [];
    const file = await makeSquashfs(dir, ['-noI', '-no-fragments']);
    await readArchive(inChunks(file, [65536]), new MemoryBlobs(), zeroCounts(), DEFAULT_LIMITS, (line) =>
      notes.push(line),
    );
    t.deepEqual(notes, [
      'the squashfs was made with -noI -no-fragments; the first change to it makes it again without',
    ]);
  });
});

for (const compressor of ['lz4', 'lzo']) {
  test(`squashfs, ${compressor}: is read and served, and an edit is refused`, async (t) => {
    await inDirectory(async (dir) => {
      const blobs = new MemoryBlobs();
      const file = await makeSquashfs(dir, ['-comp', compressor]);
      const base = await read(file, blobs);
      t.true(fileOf(base, blobs).equals(file));
      await t.throwsAsync(splice(base, [remove('/null')], blobs), {
        code: 'UNKNOWN_CODEC',
        message: /-comp gzip/,
      });
    });
  });
}

test('what cannot be read says why', async (t) => {
  await inDirectory(async (dir) => {
    const file = await makeSquashfs(dir, ['-nopad']);
    const version = Buffer.from(file);
    version.writeUInt16LE(3, 28);
    const blocks = Buffer.from(file);
    blocks.writeUInt32LE(5000, 12);
    const tables = Buffer.from(file);
    tables.fill(0xff, file.length - 200);
    const HOSTILE: readonly (readonly [string, Buffer, string])[] = [
      ['cut', file.subarray(0, file.length - 1), 'TRUNCATED'],
      ['cut short', file.subarray(0, 50), 'TRUNCATED'],
      ['another version', version, 'UNKNOWN_CODEC'],
      ['odd blocks', blocks, 'BAD_HEADER'],
      ['damaged tables', tables, 'TOOL_FAILED'],
    ];
    for (const [name, bytes, code] of HOSTILE)
      await t.throwsAsync(read(bytes, new MemoryBlobs()), { code }, name);
  });
});

test('sockets are told of, and go with the first change', async (t) => {
  await inDirectory(async (dir) => {
    await makeSquashfs(dir, []);
    const root = path.join(dir, 'root');
    const listen = 'import socket,sys; [socket.socket(socket.AF_UNIX).bind(name) for name in sys.argv[1:]]';
    const names = ['socket', 'etc/a b', 'etc/c', 'etc/d'];
    t.is((await run('python3', ['-c', listen, ...names], undefined, root)).code, 0);
    await writeFile(path.join(root, 'etc/two\nlines'), 'x');
    await output('mksquashfs', [root, path.join(dir, 'sock'), '-quiet', '-no-progress', '-noI']);
    const file = await readFile(path.join(dir, 'sock'));
    const notes: string[] = [];
    const blobs = new MemoryBlobs();
    const note = (line: string): number => notes.push(line);
    const base = await readArchive(inChunks(file, [65536]), blobs, zeroCounts(), DEFAULT_LIMITS, note);
    t.deepEqual(notes, [
      'the squashfs was made with -noI, and holds sockets, for which tar, through which it is edited, has no type (/etc/a b, /etc/c, /etc/d and 1 more); the first change to it makes it again without',
    ]);
    t.true(fileOf(base, blobs).equals(file), 'until then it is served as it is');
    const lines = await listed(dir, fileOf(await splice(base, [remove('/null')], blobs), blobs));
    t.false(lines.some((line) => line.startsWith('s')));
    t.is(lines.length, (await listed(dir, file)).length - names.length - 1);
  });
});
