import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { codecOf } from '../../../src/image/codec.js';
import { encodeHeader } from '../../../src/image/bzip2/stream.js';
import { ImageError } from '../../../src/image/errors.js';
import { filling } from '../archive-models.js';
import { output } from '../programs.js';
import { noise, prose } from './samples.js';

const codecFor = (level: number) => codecOf({ codec: 'bzip2', prologue: encodeHeader(level) });

const part = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({ length: fc.integer({ min: 1, max: 250_000 }), seed: fc.nat(99) })
    .map(({ length, seed }) => [filling, noise, prose][seed % 3]!(length, seed)),
);

test('segments of any level one after another are one stream, and each decompresses on its own', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 4 }),
      fc.integer({ min: 1, max: 9 }),
      async (plain, level) => {
        const codec = codecFor(level);
        const packed = await Promise.all(plain.map((bytes) => codec.compress(bytes)));
        const sums = packed.map(({ blocks = [] }, at) => ({
          plain: plain[at]!.length,
          check: zlib.crc32(plain[at]!),
          blocks,
        }));
        const file = Buffer.concat([
          encodeHeader(level),
          ...packed.map(({ stored }) => stored),
          codec.epilogue(sums),
        ]);
        t.true((await output('bzip2', ['-dc'], file)).equals(Buffer.concat(plain)));
        for (const [at, bytes] of plain.entries())
          t.true((await codec.decompress(packed[at]!.stored, bytes.length)).equals(bytes));
      },
    ),
    { seed: 1, numRuns: 40 },
  );
});

test('a segment that does not give what it should is refused', async (t) => {
  const codec = codecFor(9);
  const { stored } = await codec.compress(prose(1000, 1));
  for (const [bytes, plain] of [
    [stored, 999],
    [stored, 1001],
    [stored.subarray(0, 20), 1000],
    [Buffer.concat([stored, stored]), 1000],
  ] as const) {
    const error = await t.throwsAsync(codec.decompress(bytes, plain), { instanceOf: ImageError });
    t.is(error.code, 'BAD_CHECKSUM');
  }
});

test('new segments are about as large as a block of level 9, whatever the level', (t) => {
  for (let level = 1; level <= 9; level++) {
    const { sizes, dialect } = codecFor(level);
    t.true(sizes.piece <= 900_000 && sizes.piece > 450_000);
    t.is(dialect, `bzip2 -${level}`);
  }
});
