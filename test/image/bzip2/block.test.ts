import test from 'ava';
import { alignBlock, findBlock, MAX_BLOCK, SLACK } from '../../../src/image/bzip2/block.js';
import { bitsAt, writeBits } from '../../../src/image/bzip2/bits.js';
import { combineBlocks } from '../../../src/image/bzip2/crc.js';
import { encodeEnd, encodeHeader } from '../../../src/image/bzip2/stream.js';
import { output } from '../programs.js';
import { allDecode } from './decoders.js';
import { bitString, blocksIn, bzip2, fromBits, noise, prose, withSelectors } from './samples.js';

/** The blocks of `file`, each aligned, as one stream. */
function alignedStream(file: Buffer, level: number): Buffer {
  const { bytes, blocks } = blocksIn(file);
  const sum = combineBlocks(blocks.map(({ crc }) => crc));
  return Buffer.concat([
    encodeHeader(level),
    ...blocks.map((block) => alignBlock(bytes, block)),
    encodeEnd(sum),
  ]);
}

const PLAIN = Buffer.concat([prose(150_000, 1), noise(60_000, 2), Buffer.alloc(500_000), prose(90_000, 3)]);

for (const level of [1, 2, 5, 9]) {
  test(`the blocks of bzip2 -${level} are found, and six decoders read them aligned`, async (t) => {
    const file = await bzip2(PLAIN, level);
    const { bytes, blocks } = blocksIn(file);
    t.true(blocks.length >= (level < 3 ? 2 : 1));
    const end = blocks.at(-1)?.end ?? 0;
    t.is(bitsAt(bytes, end, 24), 0x177245);
    t.is(Math.ceil((end + 80) / 8), file.length);
    const aligned = alignedStream(file, level);
    t.true(aligned.length <= file.length + blocks.length + 1);
    await allDecode(t, aligned, PLAIN);
  });
}

test('every count of superfluous selectors, also beyond what 900,000 bytes can use', async (t) => {
  const plain = noise(900_000, 1);
  const file = await bzip2(plain);
  for (const extra of [0, 1, 4, 7]) {
    const more = withSelectors(file, '0'.repeat(extra));
    const { blocks } = blocksIn(more);
    t.is(blocks[0]?.selectorCount, (blocksIn(file).blocks[0]?.selectorCount ?? 0) + extra);
    t.true((await output('bzip2', ['-dc'], alignedStream(more, 9))).equals(plain));
  }
  await allDecode(t, alignedStream(withSelectors(file, '0'.repeat(100)), 9), plain);
});

test('what lbzip2 writes is aligned already and stays as it is', async (t) => {
  const file = await output('lbzip2', ['-9', '-c'], PLAIN);
  t.deepEqual(alignedStream(file, 9), file);
});

test('a magic number in the middle of a block is no block', async (t) => {
  const plain = prose(60_000, 4);
  const file = await bzip2(plain);
  for (const magic of [0x314159265359, 0x177245385090]) {
    const bits = magic.toString(2).padStart(48, '0');
    const trap = withSelectors(file, `${bits}0`);
    const { bytes, blocks } = blocksIn(trap);
    const [block] = blocks;
    t.is(blocks.length, 1);
    const inside = Array.from({ length: (block?.end ?? 0) - 80 }, (_, at) => at + 80).filter(
      (at) => bitsAt(bytes, at, 24) * 2 ** 24 + bitsAt(bytes, at + 24, 24) === magic,
    );
    t.is(inside.length, 1);
    await allDecode(t, alignedStream(trap, 9), plain);
  }
});

test('a magic number among the codes of a block does not end it, unless a block follows', async (t) => {
  const file = await bzip2(prose(60_000, 4));
  const end = blocksIn(file).blocks[0]?.end ?? 0;
  const found: (number | undefined)[] = [];
  for (const magic of [0x314159265359, 0x177245385090]) {
    for (let at = 20_001; at < end - 200; at += 1777) {
      const changed = Buffer.from(file);
      writeBits(changed, at, 24, Math.floor(magic / 2 ** 24));
      writeBits(changed, at + 24, 24, magic % 2 ** 24);
      const [block] = blocksIn(changed).blocks;
      found.push(block?.end);
      t.not(block?.end, at);
    }
  }
  // Codes that are changed in the middle are mostly in step again at the end.
  t.true(found.filter((at) => at === end).length > found.length / 2);
});

test('a block that is cut short anywhere is short', async (t) => {
  const file = await bzip2(prose(3000, 5));
  const { bytes, blocks } = blocksIn(file);
  const [block] = blocks;
  t.truthy(block);
  for (let limit = 32; limit < (block?.end ?? 0); limit++) {
    const cut = Buffer.alloc(bytes.length);
    bytes.copy(cut, 0, 0, Math.ceil(limit / 8));
    t.is(findBlock(cut, 32, limit).kind, 'short', `cut at bit ${limit}`);
  }
  t.is(findBlock(bytes, 32, block?.end ?? 0).kind, 'block');
});

test('blocks that no compressor writes are damaged, and say why', async (t) => {
  const file = await bzip2(prose(3000, 6));
  const { bytes, blocks } = blocksIn(file);
  const at = blocks[0]?.selectorCountAt ?? 0;
  const cases: readonly (readonly [number, number, number, RegExp])[] = [
    [32, 24, 0, /no block begins/],
    [at - 3, 3, 1, /1 code tables/],
    [at - 3, 3, 7, /7 code tables/],
    [at, 15, 0, /0 selectors/],
    [at, 15, 32_767, /32767 selectors/],
    [at + 15, 8, 0xff, /selector names no table/],
    [blocks[0]?.selectorsEnd ?? 0, 5, 0, /code of 0 bits/],
    [blocks[0]?.selectorsEnd ?? 0, 5, 21, /code of 21 bits/],
  ];
  for (const [place, count, value, why] of cases) {
    const changed = Buffer.from(bytes);
    writeBits(changed, place, count, value);
    const found = findBlock(changed, 32, file.length * 8);
    if (found.kind !== 'damaged') t.fail(`${why.source}: ${found.kind}`);
    else t.regex(found.why, why);
  }
});

test('a code length that goes up and down for ever ends with the buffer', async (t) => {
  const { bytes, blocks } = blocksIn(await bzip2(prose(3000, 7)));
  const upAndDown = '1011'.repeat(100);
  const head = `${bitString(bytes, 32, blocks[0]?.selectorsEnd ?? 0)}00101`;
  const filled = -head.length & 7;
  const start = fromBits(head + upAndDown.slice(0, filled));
  const endless = Buffer.alloc(MAX_BLOCK + SLACK, fromBits(upAndDown.slice(filled, filled + 8)));
  start.copy(endless);
  t.is(findBlock(endless, 0, MAX_BLOCK * 8).kind, 'short');
});
