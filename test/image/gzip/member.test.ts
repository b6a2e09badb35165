import { createReadStream } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { ChunkReader, collect } from '../../../src/image/chunks.js';
import { ImageError } from '../../../src/image/errors.js';
import { encodeEnd, inflateMember, takeHeader } from '../../../src/image/gzip/member.js';
import { filling } from '../archive-models.js';
import { inChunks } from '../memory-blobs.js';
import { output } from '../programs.js';

/** Deflate, no flags, no time, no hint at the level, made on Unix. */
const PLAIN_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);

const PLAIN = filling(3000, 1);

/** Header and data of the members in `file`, and what follows the last. */
async function readMembers(
  source: AsyncIterable<Buffer>,
  count = 1,
  pause: () => Promise<unknown> = () => Promise.resolve(),
): Promise<{ headers: Buffer[]; plain: Buffer[]; rest: Buffer }> {
  const reader = new ChunkReader(source);
  const headers: Buffer[] = [];
  const plain: Buffer[] = [];
  for (let n = 0; n < count; n++) {
    headers.push(await takeHeader(reader));
    const chunks: Buffer[] = [];
    for await (const chunk of inflateMember(reader)) {
      await pause();
      chunks.push(chunk);
    }
    plain.push(Buffer.concat(chunks));
  }
  const rest: Buffer[] = [];
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) rest.push(chunk);
  return { headers, plain, rest: Buffer.concat(rest) };
}

const failure = async (file: Buffer, sizes: readonly number[] = [64]): Promise<ImageError | undefined> => {
  try {
    await readMembers(inChunks(file, sizes));
    return undefined;
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
};

/** A member whose header has the optional fields of RFC 1952 §2.3. */
function member(flags: number): Buffer {
  const parts = [Buffer.from([0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 2, 3])];
  if ((flags & 4) !== 0) parts.push(Buffer.from([5, 0]), Buffer.from('extra'));
  if ((flags & 8) !== 0) parts.push(Buffer.from('the.name\0'));
  if ((flags & 16) !== 0) parts.push(Buffer.from('a comment\0'));
  if ((flags & 2) !== 0) {
    const sum = Buffer.alloc(2);
    sum.writeUInt16LE(zlib.crc32(Buffer.concat(parts)) & 0xffff);
    parts.push(sum);
  }
  return Buffer.concat([...parts, zlib.gzipSync(PLAIN).subarray(10)]);
}

for (let flags = 0; flags < 32; flags++) {
  test(`a header with the flags ${flags} is taken whole`, async (t) => {
    const file = member(flags);
    const { headers, plain, rest } = await readMembers(
      inChunks(Buffer.concat([file, Buffer.from('after')]), [1]),
    );
    t.true(headers[0]!.equals(file.subarray(0, headers[0]!.length)));
    t.true(plain[0]!.equals(PLAIN));
    t.is(rest.toString(), 'after');
    t.true((await output('gzip', ['-dc'], file)).equals(PLAIN));
  });
}

test('what follows a member is left exactly, for every size of chunk', async (t) => {
  const file = Buffer.concat([
    zlib.gzipSync('x'.repeat(400)),
    Buffer.from('what follows the member'.repeat(20)),
  ]);
  for (let size = 1; size <= file.length; size++) {
    const { plain, rest } = await readMembers(inChunks(file, [size]));
    t.is(plain[0]!.toString(), 'x'.repeat(400));
    t.is(rest.toString(), 'what follows the member'.repeat(20));
  }
});

test('what follows is left exactly when the deflate stream ends at the end of a chunk', async (t) => {
  const zipped = zlib.gzipSync(PLAIN);
  const follows = Buffer.from('0123456789'.repeat(50));
  for (const split of [
    zipped.length - 9,
    zipped.length - 8,
    zipped.length - 7,
    zipped.length - 1,
    zipped.length,
  ]) {
    for (const later of [1, 2, 100, 10_000]) {
      const { plain, rest } = await readMembers(
        inChunks(Buffer.concat([zipped, follows]), [split, later, later]),
      );
      t.true(plain[0]!.equals(PLAIN));
      t.true(rest.equals(follows));
    }
  }
});

test('what follows is left exactly when the data is read slowly', async (t) => {
  const zipped = zlib.gzipSync(filling(1_000_000, 2));
  const follows = filling(50_000, 3);
  for (const size of [100, 5000]) {
    const pause = async (): Promise<void> => {
      for (let turn = 0; turn < 200; turn++) await setImmediate();
    };
    const { plain, rest } = await readMembers(inChunks(Buffer.concat([zipped, follows]), [size]), 1, pause);
    t.is(plain[0]!.length, 1_000_000);
    t.true(rest.equals(follows));
  }
});

test('several members in any chunks', async (t) => {
  const contents = fc.array(
    fc.record({
      length: fc.oneof(fc.nat(50), fc.nat(300_000)),
      seed: fc.nat(100),
      level: fc.constantFrom(0, 1, 9),
    }),
    { minLength: 1, maxLength: 4 },
  );
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(65_536)), {
    minLength: 1,
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(contents, sizes, async (members, cuts) => {
      const plain = members.map(({ length, seed }) => filling(length, seed));
      const file = Buffer.concat(
        plain.map((bytes, at) => zlib.gzipSync(bytes, { level: members[at]!.level })),
      );
      const read = await readMembers(inChunks(file, [...cuts, 4096]), members.length);
      t.true(Buffer.concat(read.plain).equals(Buffer.concat(plain)));
      t.deepEqual(
        read.plain.map(({ length }) => length),
        plain.map(({ length }) => length),
      );
      t.is(read.rest.length, 0);
    }),
    { seed: 1, numRuns: 100 },
  );
});

test('a member cut short anywhere is an error that says so', async (t) => {
  const file = member(31);
  for (let length = 0; length < file.length; length++) {
    const error = await failure(file.subarray(0, length), [1 + (length % 40)]);
    t.is(error?.code, 'TRUNCATED', `${length}`);
    t.true(error!.message.includes(`at offset ${length};`), `${length}: ${error!.message}`);
  }
});

test('a flipped bit of the data or the trailer is seen, but for those that pad the last byte of the data', async (t) => {
  const file = zlib.gzipSync(filling(600, 4));
  for (let at = 10; at < file.length; at++) {
    for (const bit of [0, 3, 7]) {
      const flipped = Buffer.from(file);
      flipped[at]! ^= 1 << bit;
      const error = await failure(flipped);
      if (error === undefined) t.is(at, file.length - 9);
      else
        t.true(['BAD_CHECKSUM', 'TRUNCATED'].includes(error.code), `byte ${at}, bit ${bit}: ${error.code}`);
    }
  }
});

for (const [title, at, value, code] of [
  ['another first byte', 0, 0x1e, 'BAD_MAGIC'],
  ['another second byte', 1, 0x8c, 'BAD_MAGIC'],
  ['another method', 2, 7, 'BAD_HEADER'],
  ['a reserved flag', 3, 0x20, 'BAD_HEADER'],
  ['a block of a type that is none', 10, 0x07, 'BAD_CHECKSUM'],
] as const) {
  test(`${title} is ${code}`, async (t) => {
    const file = zlib.gzipSync(PLAIN);
    file[at] = value;
    t.is((await failure(file))?.code, code);
  });
}

test('a header that fails its own sum is damaged', async (t) => {
  const file = member(2 | 8);
  file[12]! ^= 1;
  t.is((await failure(file))?.code, 'BAD_CHECKSUM');
});

test('a name without an end is no header', async (t) => {
  const file = Buffer.concat([
    Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]),
    Buffer.alloc(100_000, 0x61),
  ]);
  t.is((await failure(file, [4096]))?.code, 'BAD_HEADER');
});

test('a source that fails ends the reading with its own error', async (t) => {
  async function* source(): AsyncGenerator<Buffer> {
    yield zlib.gzipSync(filling(100_000, 5), { level: 0 }).subarray(0, 50_000);
    throw new Error('EIO: the disk is gone');
  }
  await t.throwsAsync(readMembers(source()), { message: 'EIO: the disk is gone' });
  await t.throwsAsync(readMembers(createReadStream('/nonexistent/initrd.gz')), { code: 'ENOENT' });
});

test('a reader that stops early leaves nothing running', async (t) => {
  let closed = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      const zeros = zlib.gzipSync(Buffer.alloc(8_000_000));
      for (let at = 0; ; at += 100) yield zeros.subarray(at, at + 100);
    } finally {
      closed = true;
    }
  }
  const reader = new ChunkReader(source());
  await takeHeader(reader);
  for await (const chunk of inflateMember(reader)) {
    t.true(chunk.length > 0);
    break;
  }
  await reader.close();
  t.true(closed);
});

test('the header and the end that we write make a stream of flushed blocks whole', async (t) => {
  const parts = [filling(70_000, 1), Buffer.alloc(0), filling(5, 2)];
  const flushed = parts.map((part) =>
    zlib.deflateRawSync(part, { finishFlush: zlib.constants.Z_FULL_FLUSH }),
  );
  const plain = Buffer.concat(parts);
  const file = Buffer.concat([PLAIN_HEADER, ...flushed, encodeEnd(zlib.crc32(plain), plain.length)]);
  t.true((await output('gzip', ['-dc'], file)).equals(plain));
  t.true((await collect(zlib.createGunzip().end(file))).equals(plain));
});

test('the size in the end is modulo 2^32', (t) => {
  t.is(encodeEnd(1, 2 ** 32 + 7).readUInt32LE(6), 7);
});
