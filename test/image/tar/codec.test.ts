import test from 'ava';
import fc from 'fast-check';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from '../../../src/image/cpio/header.js';
import { canonicalPath, isSafe, ROOT } from '../../../src/image/cpio/path.js';
import type { ScannedEntry } from '../../../src/image/cpio/scanner.js';
import { ImageError } from '../../../src/image/errors.js';
import { encodeTarHead, type TarWritten } from '../../../src/image/tar/encode.js';
import { beginsTar, BLOCK, encodeTarHeader, type TarFields } from '../../../src/image/tar/header.js';
import { decodePax, encodePax } from '../../../src/image/tar/pax.js';
import { TarScanner } from '../../../src/image/tar/scanner.js';
import { MemoryBlobs } from '../memory-blobs.js';
import { output } from '../programs.js';
import { read } from '../splicing.js';

const END = Buffer.alloc(2 * BLOCK);

/** What a scan finds in `bytes`, given in chunks of `size`. */
function scan(bytes: Buffer, size = bytes.length): ScannedEntry[] {
  const entries: ScannedEntry[] = [];
  const scanner = new TarScanner(0, { onEntry: (entry) => entries.push(entry), onTrailer: () => undefined });
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size));
  scanner.finish();
  return entries;
}

const FIELDS: TarFields = {
  ...{ name: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, type: '0', linkName: '' },
  ...{ devMajor: 0, devMinor: 0, uname: '', gname: '' },
};
const block = (fields: Partial<TarFields>): Buffer => encodeTarHeader({ ...FIELDS, ...fields });
const extended = (data: Buffer, type = 'x'): Buffer =>
  Buffer.concat([block({ type, size: data.length }), data, Buffer.alloc(-data.length & (BLOCK - 1))]);
const archive = (...parts: Buffer[]): Buffer => Buffer.concat([...parts, END]);

const name = fc
  .string({
    unit: fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)),
    minLength: 1,
    maxLength: 300,
  })
  .filter((text) => !text.endsWith('/') && isSafe(canonicalPath(text)) && canonicalPath(text) !== ROOT);
const number = fc.oneof(fc.integer({ min: 0, max: 2 ** 21 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const written = fc
  .record({
    rawName: name,
    target: name,
    type: fc.constantFrom(S_IFREG, S_IFLNK, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: number,
    gid: number,
    mtime: fc.integer({ min: -(2 ** 33), max: 2 ** 40 }),
    size: fc.maxSafeNat(),
    rdev: fc.tuple(number, number),
  })
  .map(({ rawName, target, type, mode, uid, gid, mtime, size, rdev }): TarWritten => {
    const device = type === S_IFCHR || type === S_IFBLK;
    return {
      rawName,
      ...(type === S_IFLNK ? { target } : {}),
      header: {
        ...{
          magic: '070701',
          ino: 1,
          mode: type | mode,
          uid,
          gid,
          mtime,
          nlink: 1,
          check: 0,
          devMajor: 0,
          devMinor: 0,
        },
        size: type === S_IFREG ? size : 0,
        rdevMajor: device ? rdev[0] : 0,
        rdevMinor: device ? rdev[1] : 0,
      },
    };
  });

test('what is written is what is read: long names, large numbers, times before 1970', (t) => {
  fc.assert(
    fc.property(written, (entry) => {
      const head = encodeTarHead(entry, undefined);
      const found: ScannedEntry[] = [];
      new TarScanner(0, { onEntry: (one) => found.push(one), onTrailer: () => undefined }).push(head);
      const [{ rawName, target, dataOffset, header } = { header: undefined }] = found;
      const { nlink: _nlink, ino: _ino, ...fields } = { nameSize: entry.rawName.length + 1, ...entry.header };
      t.deepEqual(
        { rawName, target, dataOffset },
        { rawName: entry.rawName, target: entry.target, dataOffset: head.length },
      );
      t.like(header, fields);
    }),
    { numRuns: 500 },
  );
});

test('extended records come back, whatever is in them', (t) => {
  const key = fc
    .string({ minLength: 1, maxLength: 20 })
    .filter((text) => !text.includes('=') && !text.includes('\n'));
  const text = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const latin1 = key.map((one) => Buffer.from(one, 'utf8').toString('latin1'));
  fc.assert(
    fc.property(fc.array(fc.tuple(latin1, text)), (records) => {
      const map = new Map(records);
      t.deepEqual(decodePax(encodePax(map), 0), map);
    }),
  );
});

test('chunks of any size give the same entries', async (t) => {
  const file = archive(
    extended(
      encodePax(
        new Map([
          ['path', 'a/long/name'],
          ['mtime', '12.5'],
          ['size', '600'],
        ]),
      ),
    ),
    block({ size: 1 }),
    Buffer.alloc(1024, 1),
    block({ name: 'dir/', type: '5' }),
    block({ name: 'link', type: '1', linkName: 'a/long/name' }),
  );
  const whole = scan(file);
  t.like(whole[0], { rawName: 'a/long/name', offset: 0, dataOffset: 1536, end: 2560, tar: { head: 1536 } });
  t.like(whole[0]?.header, { size: 600, mtime: 12 });
  t.like(whole[2], { tar: { head: BLOCK, link: 'a/long/name' } });
  for (const size of [1, 7, 511, 512, 513]) t.deepEqual(scan(file, size), whole);
  t.is((await output('tar', ['-tf', '-'], file)).toString(), 'a/long/name\ndir/\nlink\n');
});

const HOSTILE: readonly (readonly [string, Buffer, ImageError['code']])[] = [
  ['no zeros at the end', block({}), 'TRUNCATED'],
  ['cut inside of data', Buffer.concat([block({ size: 600 }), Buffer.alloc(100)]), 'TRUNCATED'],
  ['cut inside of an extended header', extended(Buffer.alloc(600, '1')).subarray(0, 700), 'TRUNCATED'],
  ['a checksum that does not hold', archive(block({}).fill(1, 0, 1)), 'BAD_HEADER'],
  ['a directory with data', archive(block({ type: '5', size: 10 })), 'BAD_HEADER'],
  ['a negative size', archive(block({ size: -5 })), 'BAD_HEADER'],
  ['a negative extended header', archive(block({ type: 'x', size: -5 })), 'TOO_LARGE'],
  ['an endless extended header', archive(block({ type: 'x', size: 2 ** 40 })), 'TOO_LARGE'],
  [
    'many extended headers',
    archive(...Array.from({ length: 1100 }, () => extended(Buffer.alloc(1024), 'L')), block({})),
    'TOO_LARGE',
  ],
  ['a record that says it is longer', archive(extended(Buffer.from('99 path=x\n')), block({})), 'BAD_HEADER'],
  ['a record without a length', archive(extended(Buffer.from('path=x\n')), block({})), 'BAD_HEADER'],
  [
    'a size that is no number',
    archive(extended(encodePax(new Map([['size', 'x']]))), block({})),
    'BAD_HEADER',
  ],
  ['a NUL in a name', archive(extended(encodePax(new Map([['path', 'a\0b']]))), block({})), 'BAD_HEADER'],
  ['a hard link to nothing', archive(block({ type: '1', linkName: 'none' })), 'BAD_HEADER'],
  ['a name that climbs', archive(block({ name: '../x' })), 'UNSAFE_PATH'],
  ['a file for the root', archive(block({ name: './', type: '2', linkName: 'x' })), 'BAD_HEADER'],
  ['a name of 4096 bytes', archive(extended(Buffer.alloc(4096, 'n'), 'L'), block({})), 'NAME_TOO_LONG'],
  [
    'a target of 4096 bytes',
    archive(extended(Buffer.alloc(4096, 'n'), 'K'), block({ type: '2' })),
    'NAME_TOO_LONG',
  ],
  [
    'defaults for all entries',
    archive(extended(encodePax(new Map([['uid', '5']])), 'g'), block({})),
    'UNKNOWN_CODEC',
  ],
  [
    'defaults of a name that is two lines',
    archive(extended(encodePax(new Map([['u\n\x1b[31m', '5']])), 'g'), block({})),
    'UNKNOWN_CODEC',
  ],
  [
    'a sparse format that is two lines',
    archive(extended(encodePax(new Map([['GNU.sparse.major', `2\n${'\x9b'.repeat(5000)}`]]))), block({})),
    'UNKNOWN_CODEC',
  ],
];

for (const [what, bytes, code] of HOSTILE) {
  test(`hostile: ${what}`, async (t) => {
    const error = t.throws(() => scan(bytes), { instanceOf: ImageError, code });
    t.notRegex(error.message, /[\x00-\x1f\x7f-\x9f]/);
    t.true(error.message.length < 20_000);
    if (beginsTar(bytes)) await t.throwsAsync(read(bytes, new MemoryBlobs()), { code });
  });
}

test('a comment for the whole archive, as git writes it, is passed over', (t) => {
  const [entry] = scan(
    archive(extended(encodePax(new Map([['comment', 'abc']])), 'g'), block({ name: 'x' })),
  );
  t.like(entry, { rawName: 'x', offset: 1024 });
});

test('a socket is not written', (t) => {
  const header = {
    magic: '070701',
    ino: 1,
    mode: S_IFSOCK,
    uid: 0,
    gid: 0,
    mtime: 0,
    nlink: 1,
    check: 0,
    size: 0,
  } as const;
  const device = { devMajor: 0, devMinor: 0, rdevMajor: 0, rdevMinor: 0 };
  t.throws(() => encodeTarHead({ rawName: 'x', header: { ...header, ...device } }, undefined), {
    code: 'EDIT_CONFLICT',
  });
});

test('random damage is refused or read, and never anything else', (t) => {
  const file = archive(
    extended(
      encodePax(
        new Map([
          ['path', 'a/name'],
          ['SCHILY.xattr.user.x', 'y'],
        ]),
      ),
    ),
    block({ size: 10 }),
    Buffer.alloc(BLOCK, 1),
    extended(Buffer.from('a long name\0'), 'L'),
    block({ type: '2', linkName: 'to' }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(file.length),
      (changes, end) => {
        const damaged = Buffer.from(file);
        for (const [at, byte] of changes) damaged[at] = byte;
        try {
          scan(damaged.subarray(0, end), 100);
        } catch (error) {
          t.true(error instanceof ImageError, String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
  t.pass();
});
