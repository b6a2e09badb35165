import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { decodeBlocks } from '../../../src/image/bzip2/decode.js';
import { writeBits } from '../../../src/image/bzip2/bits.js';
import { takeStreams } from '../../../src/image/bzip2/stream.js';
import { ChunkReader } from '../../../src/image/chunks.js';
import { ImageError } from '../../../src/image/errors.js';
import { inChunks } from '../memory-blobs.js';
import { inDirectory, output } from '../programs.js';
import { blocksIn, bzip2, noise, prose, randomised } from './samples.js';

/** The plain bytes of each block of `file`. */
async function decode(file: Buffer): Promise<Buffer[]> {
  const plain: Buffer[] = [];
  for await (const part of decodeBlocks(takeStreams(new ChunkReader(inChunks(file, [65_536]))))) {
    if (part.kind === 'block') plain.push(Buffer.concat(part.plain));
  }
  return plain;
}

const PLAIN = Buffer.concat([
  prose(400_000, 1),
  noise(450_000, 2),
  Buffer.alloc(3_000_000),
  prose(90_000, 3),
]);

/** Runs `body` while programs are looked for in a directory that holds only those named. */
async function withPrograms(programs: readonly string[], body: () => Promise<void>): Promise<void> {
  const before = process.env['PATH'] ?? '';
  await inDirectory(async (dir) => {
    await mkdir(path.join(dir, 'bin'));
    for (const program of programs) await symlink(`/usr/bin/${program}`, path.join(dir, 'bin', program));
    process.env['PATH'] = path.join(dir, 'bin');
    try {
      await body();
    } finally {
      process.env['PATH'] = before;
    }
  });
}

test.serial('each block has its own plain bytes, whatever wrote it', async (t) => {
  for (const [program, ...args] of [
    ['bzip2', '-1', '-c'],
    ['bzip2', '-9', '-c'],
    ['lbzip2', '-9', '-c'],
    ['pbzip2', '-b1', '-c'],
  ] as const) {
    const plain = await decode(await output(program, args, PLAIN));
    t.true(plain.length > 1);
    t.true(Buffer.concat(plain).equals(PLAIN), program);
  }
  t.deepEqual(await decode(await bzip2(Buffer.alloc(0))), []);
});

test.serial('a randomised block of the oldest bzip2', async (t) => {
  const plain = prose(600, 4);
  t.deepEqual(await decode(randomised(await bzip2(plain))), [plain]);
});

test.serial('a block that fails its CRC is named by its offset', async (t) => {
  const file = await bzip2(noise(450_000, 5), 1);
  const { blocks } = blocksIn(file);
  for (const which of [0, 2, blocks.length - 1]) {
    const block = blocks[which];
    const changed = Buffer.from(file);
    // In the middle of the codes: what comes out has another sum, or cannot be decoded at all.
    changed[((block?.selectorsEnd ?? 0) + (block?.end ?? 0)) >>> 4]! ^= 0x18;
    const error = await t.throwsAsync(decode(changed), { instanceOf: ImageError });
    t.is(error.code, 'BAD_CHECKSUM');
    t.regex(error.message, /bzip2/);
  }
  // A wrong CRC in the block's header, and the stream's sum made to match.
  const one = await bzip2(prose(500, 6));
  const [block] = blocksIn(one).blocks;
  const wrong = ((block?.crc ?? 0) ^ 1) >>> 0;
  for (const at of [32 + 48, (block?.end ?? 0) + 48]) {
    writeBits(one, at, 16, wrong >>> 16);
    writeBits(one, at + 16, 16, wrong & 0xffff);
  }
  const error = await t.throwsAsync(decode(one), { instanceOf: ImageError });
  t.is(error.code, 'BAD_CHECKSUM');
  t.regex(error.message, /block at offset 4 is damaged/);
});

test.serial('whoever stops reading early leaves nothing running', async (t) => {
  const file = await bzip2(PLAIN, 1);
  const parts = decodeBlocks(takeStreams(new ChunkReader(inChunks(file, [4096]))));
  for await (const part of parts) if (part.kind === 'block') break;
  t.deepEqual(await parts.next(), { done: true, value: undefined });
});

test.serial('bzip2 does what lbzip2 does where that is missing', async (t) => {
  const file = await bzip2(PLAIN, 2);
  await withPrograms(['bzip2'], async () => {
    t.true(Buffer.concat(await decode(file)).equals(PLAIN));
  });
});

test.serial('without any program the error names the package', async (t) => {
  const file = await bzip2(prose(100, 1));
  await withPrograms([], async () => {
    const error = await t.throwsAsync(decode(file), { instanceOf: ImageError });
    t.is(error.code, 'MISSING_TOOL');
    t.regex(error.message, /apt-get install bzip2/);
  });
});
