import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { codecOf, sniff } from '../../src/image/codec.js';
import { ImageError } from '../../src/image/errors.js';
import { FAST_HEADER } from '../../src/image/gzip/member.js';
import { filling } from './archive-models.js';
import { output } from './programs.js';

/** Deflate, no flags, no time, no hint at the level, made on Unix. */
const PLAIN_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
const gzip = codecOf({ codec: 'gzip', prologue: PLAIN_HEADER });
const compress = async (plain: Buffer): Promise<Buffer> => (await gzip.compress(plain)).stored;

test('segments one after another are one stream, and each decompresses on its own', async (t) => {
  const part = fc.record({
    length: fc.oneof(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 200_000 })),
    seed: fc.nat(99),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), async (parts) => {
      const plain = parts.map(({ length, seed }) =>
        seed === 0 ? randomBytes(length) : filling(length, seed),
      );
      const stored = await Promise.all(plain.map((bytes) => compress(bytes)));
      const sums = plain.map((bytes) => ({ plain: bytes.length, check: zlib.crc32(bytes) }));
      const file = Buffer.concat([PLAIN_HEADER, ...stored, gzip.epilogue(sums)]);
      t.true(zlib.gunzipSync(file).equals(Buffer.concat(plain)));
      for (const [at, bytes] of plain.entries())
        t.true((await gzip.decompress(stored[at]!, bytes.length)).equals(bytes));
    }),
    { seed: 1, numRuns: 60 },
  );
});

test('segments whose compressed size meets the buffers of zlib', async (t) => {
  const plain: Buffer[] = [];
  for (let length = (1 << 20) - 330; length < (1 << 20) - 300; length += 3) plain.push(randomBytes(length));
  const stored = await Promise.all(plain.map((bytes) => compress(bytes)));
  const sums = plain.map((bytes) => ({ plain: bytes.length, check: zlib.crc32(bytes) }));
  const file = Buffer.concat([PLAIN_HEADER, ...stored, gzip.epilogue(sums)]);
  t.true((await output('gzip', ['-dc'], file)).equals(Buffer.concat(plain)));
});

test('a segment that does not give what it should is refused', async (t) => {
  const stored = await compress(filling(1000, 1));
  const spoilt = Buffer.from(stored);
  spoilt[3]! ^= 0xff;
  for (const [bytes, plain] of [
    [stored, 999],
    [stored, 1001],
    [stored.subarray(0, 20), 1000],
    [spoilt, 1000],
  ] as const) {
    const error = await t.throwsAsync(gzip.decompress(bytes, plain), { instanceOf: ImageError });
    t.is(error.code, 'BAD_CHECKSUM');
  }
});

test('formats are told by what the programs write', async (t) => {
  const plain = Buffer.from('some content');
  for (const [format, program, ...args] of [
    ['gzip', 'gzip', '-c'],
    ['gzip', 'pigz', '-c'],
    ['bzip2', 'bzip2', '-c'],
    ['xz', 'xz', '-c'],
    ['lzma', 'xz', '--format=lzma', '-c'],
    ['zstd', 'zstd', '-c'],
    ['lz4-frame', 'lz4', '-c'],
    ['lz4', 'lz4', '-l', '-c'],
    ['lzo', 'lzop', '-c'],
  ] as const) {
    t.is(sniff(await output(program, args, plain)), format);
  }
  t.is(sniff(Buffer.from('0707010000')), 'cpio');
  t.is(sniff(plain), undefined);
  t.is(sniff(Buffer.alloc(0)), undefined);
});

test('a stream that was compressed as fast as could be stays so, and shares no segments with others', async (t) => {
  const fast = codecOf({ codec: 'gzip', prologue: FAST_HEADER });
  t.not(fast.dialect, gzip.dialect);
  const plain = Buffer.from(Array.from({ length: 20_000 }, (_, n) => `line ${n * n}\n`).join(''));
  const [quick, usual] = await Promise.all([fast.compress(plain), gzip.compress(plain)]);
  t.true(quick.stored.length > usual.stored.length);
  t.deepEqual(await fast.decompress(quick.stored, plain.length), plain);
});
