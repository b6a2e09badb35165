import { chmod, link, lutimes, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {
  decodeHeader,
  encodeHeader,
  encodeTrailer,
  HEADER_SIZE,
  isDirectory,
  isRegular,
  isSymlink,
  MAX_FILE_SIZE,
  MAX_NAME_SIZE,
  padding4,
  type CpioHeader,
} from '../../../src/image/cpio/header.js';
import { ImageError } from '../../../src/image/errors.js';
import { item, itemBytes } from '../newc.js';
import { cpioNames, inDirectory, output } from '../programs.js';

const SAMPLE: CpioHeader = {
  magic: '070701',
  ino: 0x1234,
  mode: 0o104755,
  uid: 1000,
  gid: 65534,
  nlink: 2,
  mtime: 1_700_000_000,
  size: 7,
  devMajor: 8,
  devMinor: 1,
  rdevMajor: 5,
  rdevMinor: 255,
  nameSize: 6,
  check: 0,
};

test('every field stands where cpio(5) puts it', (t) => {
  const bytes = encodeHeader(SAMPLE, 'hello');
  t.is(
    bytes.toString('latin1'),
    '070701' + // c_magic
      '00001234' + // c_ino
      '000089ED' + // c_mode
      '000003E8' + // c_uid
      '0000FFFE' + // c_gid
      '00000002' + // c_nlink
      '6553F100' + // c_mtime
      '00000007' + // c_filesize
      '00000008' + // c_devmajor
      '00000001' + // c_devminor
      '00000005' + // c_rdevmajor
      '000000FF' + // c_rdevminor
      '00000006' + // c_namesize
      '00000000' + // c_check
      'hello\0',
  );
  t.deepEqual(decodeHeader(bytes, 0, 0), SAMPLE);
});

test('the header that GNU cpio writes reads as what the file is', async (t) => {
  await inDirectory(async (dir) => {
    const at = (name: string): string => path.join(dir, name);
    await mkdir(at('d'));
    await writeFile(at('d/file'), 'content');
    await chmod(at('d/file'), 0o4711);
    await utimes(at('d/file'), 86_400, 86_400);
    await link(at('d/file'), at('other'));
    await symlink('d/file', at('link'));
    await lutimes(at('link'), 1, 1);
    await output('mknod', ['-m', '600', 'dev', 'b', '259', '300'], undefined, dir);
    const list = Buffer.from('d\nother\nd/file\nlink\ndev\n');
    const plain = await output('cpio', ['-o', '-H', 'newc', '--quiet'], list, dir);
    const headers = new Map<string, CpioHeader>();
    for (let offset = 0; ;) {
      const header = decodeHeader(plain, offset, offset);
      const name = plain.toString('latin1', offset + HEADER_SIZE, offset + HEADER_SIZE + header.nameSize - 1);
      headers.set(name, header);
      const head = HEADER_SIZE + header.nameSize;
      const written = encodeHeader(header, name);
      t.true(
        written.equals(plain.subarray(offset, offset + written.length)),
        `${name}: written as GNU cpio does`,
      );
      offset += head + padding4(head) + header.size + padding4(header.size);
      if (name === 'TRAILER!!!') break;
    }
    t.deepEqual([...headers.keys()].sort(), ['TRAILER!!!', 'd', 'd/file', 'dev', 'link', 'other']);
    t.like(headers.get('d'), { mode: 0o040755, nlink: 2, size: 0 });
    t.like(headers.get('d/file'), { mode: 0o104711, nlink: 2, size: 7, mtime: 86_400 });
    t.like(headers.get('other'), { mode: 0o104711, nlink: 2, size: 0, ino: headers.get('d/file')!.ino });
    t.like(headers.get('link'), { mode: 0o120777, size: 6, mtime: 1 });
    t.like(headers.get('dev'), { mode: 0o060600, rdevMajor: 259, rdevMinor: 300 });
    t.true(isDirectory(headers.get('d')!.mode) && isRegular(headers.get('other')!.mode));
    t.true(isSymlink(headers.get('link')!.mode) && !isRegular(headers.get('dev')!.mode));
  });
});

test('lower-case hexadecimal digits are read too', (t) => {
  const bytes = Buffer.from(encodeHeader(SAMPLE, 'hello').toString('latin1').toLowerCase(), 'latin1');
  t.deepEqual(decodeHeader(bytes, 0, 0), SAMPLE);
});

test('a header reads back as it was written', (t) => {
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const header = fc.record({
    magic: fc.constantFrom('070701' as const, '070702' as const),
    ...{ ino: u32, mode: u32, uid: u32, gid: u32, nlink: u32, mtime: u32, size: u32 },
    ...{ devMajor: u32, devMinor: u32, rdevMajor: u32, rdevMinor: u32, check: u32 },
  });
  const latin1 = fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 300 });
  fc.assert(
    fc.property(header, latin1, fc.nat(9), (fields, codes, before) => {
      const name = String.fromCharCode(...codes);
      const bytes = Buffer.concat([Buffer.alloc(before, 0x30), encodeHeader(fields, name)]);
      t.is((bytes.length - before) % 4, 0);
      t.deepEqual(decodeHeader(bytes, before, 0), { ...fields, nameSize: name.length + 1 });
      t.is(bytes.toString('latin1', before + HEADER_SIZE, before + HEADER_SIZE + name.length), name);
      t.is(bytes[before + HEADER_SIZE + name.length], 0);
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('our writer and the plain one of the tests agree', (t) => {
  const { dev, rdev, data, ...same } = item({ name: './x\xff', ino: 9, mtime: 5, check: 3 });
  const [devMajor, devMinor] = dev;
  const [rdevMajor, rdevMinor] = rdev;
  const fields = {
    ...same,
    magic: '070701' as const,
    size: data.length,
    devMajor,
    devMinor,
    rdevMajor,
    rdevMinor,
  };
  t.true(encodeHeader(fields, same.name).equals(itemBytes({ ...same, dev, rdev, data })));
});

const FIELDS = 'ino mode uid gid nlink mtime size devMajor devMinor rdevMajor rdevMinor nameSize check'.split(
  ' ',
);
FIELDS.forEach((field, number) => {
  test(`a digit of ${field} that is none is refused, with the field and the offset`, (t) => {
    for (const [digit, letter] of [
      [0, ' '],
      [3, 'g'],
      [7, '\xb5'],
      [4, '-'],
    ] as const) {
      const bytes = encodeHeader(SAMPLE, 'hello');
      bytes.write(letter, 6 + number * 8 + digit, 'latin1');
      const error = t.throws(() => decodeHeader(bytes, 0, 4096), { instanceOf: ImageError });
      t.is(error.code, 'BAD_HEADER');
      t.regex(error.message, new RegExp(`offset 4096: field ${field} is not a hexadecimal number`));
    }
  });
});

for (const magic of ['070700', '070703', '070707', '\xc7\x71\0\0\0\0', '<html>']) {
  test(`the magic ${JSON.stringify(magic)} is refused, saying what was found`, (t) => {
    const bytes = encodeHeader(SAMPLE, 'hello');
    bytes.write(magic, 0, 'latin1');
    const error = t.throws(() => decodeHeader(bytes, 0, 77), { instanceOf: ImageError });
    t.is(error.code, 'BAD_MAGIC');
    t.true(error.message.includes('offset 77') && error.message.includes(JSON.stringify(magic)));
  });
}

for (const nameSize of [0, 8193, 0xffff_ffff]) {
  test(`a header with a name of ${nameSize} bytes is refused`, (t) => {
    const bytes = encodeHeader(SAMPLE, 'hello');
    bytes.write(nameSize.toString(16).padStart(8, '0'), 6 + 11 * 8, 'latin1');
    const error = t.throws(() => decodeHeader(bytes, 0, 12), { instanceOf: ImageError });
    t.is(error.code, 'BAD_HEADER');
    t.regex(error.message, new RegExp(`offset 12: a name of ${nameSize} bytes`));
  });
}

test('a name as long as the kernel takes is written, one byte more is refused', (t) => {
  const longest = 'n'.repeat(MAX_NAME_SIZE - 1);
  t.is(decodeHeader(encodeHeader(SAMPLE, longest), 0, 0).nameSize, 4096);
  const error = t.throws(() => encodeHeader(SAMPLE, `${longest}n`), { instanceOf: ImageError });
  t.is(error.code, 'NAME_TOO_LONG');
  t.regex(error.message, /^\/n{60}…: a name of 4096 bytes; the kernel unpacks at most 4095/);
});

test('a file of 4 GiB is refused by its name, one byte less is written', (t) => {
  t.is(decodeHeader(encodeHeader({ ...SAMPLE, size: MAX_FILE_SIZE }, 'big'), 0, 0).size, 2 ** 32 - 1);
  const error = t.throws(() => encodeHeader({ ...SAMPLE, size: 2 ** 32 }, 'dir/big\n'), {
    instanceOf: ImageError,
  });
  t.is(error.code, 'FILE_TOO_LARGE');
  t.regex(error.message, /^\/dir\/big\\x0a: 4294967296 bytes; newc holds at most 4294967295/);
  t.false(error.message.includes('\n'));
});

test('a time before 1970 is stored modulo 2^32, as GNU cpio does', (t) => {
  t.is(decodeHeader(encodeHeader({ ...SAMPLE, mtime: -5 }, 'old'), 0, 0).mtime, 2 ** 32 - 5);
});

test('GNU cpio takes our trailer for the end', async (t) => {
  const entry = Buffer.concat([encodeHeader({ ...SAMPLE, nlink: 1 }, 'hello'), Buffer.from('content\0')]);
  t.deepEqual(await cpioNames(Buffer.concat([entry, encodeTrailer()])), ['hello']);
  t.true(encodeTrailer().equals(itemBytes(item({ name: 'TRAILER!!!', mode: 0 }))));
});
