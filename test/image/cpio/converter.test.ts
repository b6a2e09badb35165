import test from 'ava';
import fc from 'fast-check';
import { mkdir, writeFile, link, symlink } from 'node:fs/promises';
import { CpioConverter } from '../../../src/image/cpio/converter.js';
import { OLD_LAYOUTS, oldFormatOf, type OldFormat } from '../../../src/image/cpio/old-header.js';
import { canonicalPath, isSafe, ROOT } from '../../../src/image/cpio/path.js';
import { ImageError } from '../../../src/image/errors.js';
import { archiveMap } from '../../../src/image/archive.js';
import { readArchive } from '../../../src/image/read-archive.js';
import { zeroCounts } from '../../../src/image/segment-writer.js';
import { DEFAULT_LIMITS } from '../../../src/image/unpack-limits.js';
import { inChunks, MemoryBlobs } from '../memory-blobs.js';
import { parseArchive } from '../newc.js';
import { inDirectory, output, run } from '../programs.js';
import { fileOf, put, remove, splice } from '../splicing.js';

interface OldItem {
  readonly name: string;
  readonly dev?: number;
  readonly ino?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly nlink?: number;
  readonly rdev?: number;
  readonly mtime?: number;
  readonly size?: number; // when it is to differ from data's
  readonly data?: Buffer;
}

/** Whether something can be unpacked under a name. */
const isPlain = (name: string): boolean => isSafe(canonicalPath(name)) && canonicalPath(name) !== ROOT;

const even = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)]);

/** An entry as cpio(5) lays it out. */
function oldItem(format: OldFormat, item: OldItem): Buffer {
  const { name, dev = 0, ino = 0, mode = 0o100644, uid = 0, gid = 0, nlink = 1, rdev = 0, mtime = 0 } = item;
  const { data = Buffer.alloc(0), size = data.length } = item;
  const nameBytes = Buffer.from(`${name}\0`, 'latin1');
  if (format === 'odc') {
    const six = [dev, ino, mode, uid, gid, nlink, rdev].map((n) => n.toString(8).padStart(6, '0')).join('');
    const eleven = (n: number): string => n.toString(8).padStart(11, '0');
    const head = `070707${six}${eleven(mtime)}${nameBytes.length.toString(8).padStart(6, '0')}${eleven(size)}`;
    return Buffer.concat([Buffer.from(head), nameBytes, data]);
  }
  const split = (n: number): number[] => [Math.floor(n / 65536), n % 65536];
  const words = [
    0o070707,
    dev,
    ino,
    mode,
    uid,
    gid,
    nlink,
    rdev,
    ...split(mtime),
    nameBytes.length,
    ...split(size),
  ];
  const head = Buffer.alloc(26);
  words.forEach((word, at) =>
    format === 'binary-le' ? head.writeUInt16LE(word, at * 2) : head.writeUInt16BE(word, at * 2),
  );
  return Buffer.concat([head, even(nameBytes), even(data)]);
}

const FORMATS = Object.keys(OLD_LAYOUTS) as OldFormat[];

/** What a conversion of `bytes` in chunks of `sizes` gives, and how many bytes it took. */
function convert(
  format: OldFormat,
  bytes: Buffer,
  sizes: readonly number[],
): { newc: Buffer; taken: number; converter: CpioConverter } {
  const converter = new CpioConverter(format, 0);
  const newc: Buffer[] = [];
  let taken = 0;
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const chunk = bytes.subarray(at, at + sizes[turn % sizes.length]!);
    const result = converter.push(chunk);
    newc.push(...result.newc);
    taken += result.taken;
    at += chunk.length;
    if (result.taken < chunk.length) break;
  }
  converter.finish();
  return { newc: Buffer.concat(newc), taken, converter };
}

for (const format of FORMATS) {
  test(`${format}: every field, name and byte of data arrives in newc, however the stream is cut`, (t) => {
    const limit = format === 'odc' ? 0o777777 : 0xffff;
    const field = fc.integer({ min: 0, max: limit });
    const item = fc.record({
      name: fc
        .string({
          minLength: 1,
          maxLength: 40,
          unit: fc.integer({ min: 1, max: 255 }).map((n) => String.fromCharCode(n)),
        })
        .filter((name) => name !== 'TRAILER!!!' && isPlain(name)),
      dev: field,
      ino: field,
      mode: field,
      uid: field,
      gid: field,
      nlink: field,
      rdev: field,
      mtime: fc.integer({ min: 0, max: 0xffff_ffff }),
      data: fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 4 }),
        (items, sizes) => {
          const archive = Buffer.concat(
            [...items, { name: 'TRAILER!!!' }].map((one) => oldItem(format, one)),
          );
          const { newc, taken } = convert(format, Buffer.concat([archive, Buffer.from('after')]), sizes);
          t.is(taken, archive.length);
          t.is(oldFormatOf(archive), format);
          const read = parseArchive(newc);
          t.is(read.after, 0);
          t.deepEqual(
            read.items.map(({ name, ino, mode, uid, gid, nlink, mtime, dev, rdev, data }) => ({
              name,
              ino,
              mode,
              uid,
              gid,
              nlink,
              mtime,
              dev,
              rdev,
              data: Buffer.from(data),
            })),
            items.map((one) => ({
              ...one,
              dev: [one.dev >> 8, one.dev & 255],
              rdev: [one.rdev >> 8, one.rdev & 255],
            })),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test(`${format}: cut short anywhere it says where, and a broken header says which`, (t) => {
    const archive = Buffer.concat(
      [{ name: 'etc/a', data: Buffer.from('12345') }, { name: 'TRAILER!!!' }].map((one) =>
        oldItem(format, one),
      ),
    );
    const trailerHead = archive.length - (OLD_LAYOUTS[format].align === 2 ? 1 : 0);
    for (let length = 1; length < trailerHead; length++) {
      const error = t.throws(() => convert(format, archive.subarray(0, length), [7]), {
        instanceOf: ImageError,
      });
      t.is(error.code, 'TRUNCATED', `${length}`);
      t.regex(error.message, /at offset \d+/);
    }
    const second = oldItem(format, { name: 'etc/a', data: Buffer.from('12345') }).length;
    const broken = Buffer.from(archive);
    broken[second] = 0x58;
    t.throws(() => convert(format, broken, [100]), {
      code: 'BAD_MAGIC',
      message: new RegExp(`at offset ${second}:`),
    });
  });
}

test('odc: sizes of 33 bits are refused with the entry and its place, times after 2106 become the latest', (t) => {
  const first = oldItem('odc', { name: 'a' });
  const huge = Buffer.concat([first, oldItem('odc', { name: 'var/huge', size: 2 ** 32 })]);
  t.throws(() => convert('odc', huge, [4096]), {
    code: 'FILE_TOO_LARGE',
    message: new RegExp(`/var/huge at offset ${first.length}: 4294967296 bytes`),
  });
  t.throws(() => convert('odc', oldItem('odc', { name: 'x', size: 2 ** 33 - 1 }), [50]), {
    code: 'FILE_TOO_LARGE',
  });
  const late = Buffer.concat([
    oldItem('odc', { name: 'a', mtime: 2 ** 33 - 1 }),
    oldItem('odc', { name: 'TRAILER!!!' }),
  ]);
  const { newc, converter } = convert('odc', late, [50]);
  t.is(parseArchive(newc).items[0]!.mtime, 2 ** 32 - 1);
  t.is(converter.lateTimes, 1);
});

/** `bytes`, a file of old-format or newc cpio, read into newc. */
async function imported(bytes: Buffer): Promise<{ file: Buffer; notes: string[] }> {
  const blobs = new MemoryBlobs();
  const notes: string[] = [];
  const read = await readArchive(inChunks(bytes, [1000]), blobs, zeroCounts(), DEFAULT_LIMITS, (line) =>
    notes.push(line),
  );
  return { file: blobs.materialise(archiveMap(read)), notes };
}

async function makeTree(dir: string): Promise<void> {
  await mkdir(`${dir}/etc/deep`, { recursive: true, mode: 0o755 });
  await writeFile(`${dir}/etc/odd`, 'abc');
  await writeFile(`${dir}/etc/deep/even`, 'abcd');
  await writeFile(`${dir}/big`, Buffer.alloc(300_001, 'x y z'));
  await link(`${dir}/etc/odd`, `${dir}/hard`);
  await symlink('etc/odd', `${dir}/soft`);
  await output('mknod', [`${dir}/null`, 'c', '1', '3']);
}

const listing = async (archive: Buffer, extra: readonly string[] = []): Promise<string> =>
  (await output('cpio', ['-itvn', '--quiet', ...extra], archive)).toString('latin1');

for (const [name, program, args] of [
  ['odc by GNU cpio', 'cpio', ['-o', '-H', 'odc', '--quiet']],
  ['old binary by GNU cpio', 'cpio', ['-o', '-H', 'bin', '--quiet']],
  ['odc by bsdcpio', 'bsdcpio', ['-o', '-H', 'odc', '--quiet']],
  ['old binary by bsdcpio', 'bsdcpio', ['-o', '-H', 'bin', '--quiet']],
] as const) {
  test(`${name}: converted to newc, GNU cpio lists and unpacks the same`, async (t) => {
    await inDirectory(async (dir) => {
      await makeTree(dir);
      const names = Buffer.from('.\netc\netc/odd\netc/deep\netc/deep/even\nbig\nhard\nsoft\nnull\n');
      const old = await output(program, args, names, dir);
      const { file, notes } = await imported(old);
      t.is(notes.length, 1);
      t.regex(notes[0]!, /to newc/);
      t.is(file.toString('latin1', 0, 6), '070701');
      t.is(await listing(file), await listing(old));
      const swapped = swapWords(old);
      if (args[2] === 'bin') t.deepEqual((await imported(swapped)).file, file, 'the other byte order');
      await inDirectory(async (into) => {
        await output('cpio', ['-idm', '--quiet'], file, into);
        await output('diff', ['-r', '--no-dereference', '--exclude=null', dir, into]);
      });
    });
  });
}

/** Old binary of the other byte order: the words of headers swapped, names and data left alone. */
function swapWords(archive: Buffer): Buffer {
  const swapped = Buffer.from(archive);
  for (let at = 0; swapped.readUInt16LE(at) === 0o070707;) {
    const nameSize = swapped.readUInt16LE(at + 20);
    const size = swapped.readUInt16LE(at + 22) * 65536 + swapped.readUInt16LE(at + 24);
    swapped.subarray(at, at + 26).swap16();
    at += 26 + nameSize + (nameSize % 2) + size + (size % 2);
    if (at + 26 > swapped.length) break;
  }
  return swapped;
}

test('two old archives in a row become two newc archives, each where the kernel looks for it', async (t) => {
  await inDirectory(async (dir) => {
    await makeTree(dir);
    const one = await output(
      'cpio',
      ['-o', '-H', 'odc', '--quiet', '-C', '1'],
      Buffer.from('etc/odd\n'),
      dir,
    );
    const two = await output('cpio', ['-o', '-H', 'odc', '--quiet'], Buffer.from('big\n'), dir);
    const { file } = await imported(Buffer.concat([one, two]));
    const first = parseArchive(file);
    t.deepEqual(
      first.items.map((item) => item.name),
      ['etc/odd'],
    );
    const at = file.indexOf('070701', file.length - first.after);
    t.is(at % 4, 0);
    t.deepEqual(
      parseArchive(file.subarray(at)).items.map((item) => item.name),
      ['big'],
    );
  });
});

test('070702: sums are checked, and kept right by edits', async (t) => {
  await inDirectory(async (dir) => {
    await makeTree(dir);
    const crc = await output(
      'cpio',
      ['-o', '-H', 'crc', '--quiet'],
      Buffer.from('etc/odd\nbig\nhard\nsoft\n'),
      dir,
    );
    t.deepEqual((await imported(crc)).file, crc);
    const blobs = new MemoryBlobs();
    const read = await readArchive(inChunks(crc, [1000]), blobs, zeroCounts());
    const edits = [put('/etc/odd', 'other'), put('/new', 'new\n'), remove('/hard')];
    const edited = fileOf(await splice(read, edits, blobs), blobs);
    t.deepEqual([...new Set(parseArchive(edited).items.map(({ magic }) => magic))], ['070702']);
    const verified = await run('cpio', ['-i', '--only-verify-crc', '--quiet'], edited);
    t.is(verified.stderr, '');
    t.is(verified.code, 0);
    const damaged = Buffer.from(crc);
    const at = damaged.indexOf('x y z');
    damaged[at] = 0x79;
    const error = await t.throwsAsync(imported(damaged), { instanceOf: ImageError });
    t.is(error.code, 'BAD_CHECKSUM');
    t.regex(error.message, /\/big at offset \d+: its bytes add up to \d+/);
  });
});
