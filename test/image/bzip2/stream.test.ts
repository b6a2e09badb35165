import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { ImageError } from '../../../src/image/errors.js';
import { ChunkReader } from '../../../src/image/chunks.js';
import { takeStreams, type StreamPart } from '../../../src/image/bzip2/stream.js';
import { inChunks } from '../memory-blobs.js';
import { output } from '../programs.js';
import { blocksIn, bzip2, noise, prose } from './samples.js';

/** Everything that takeStreams finds in `file`, and what it leaves. */
async function take(
  file: Buffer,
  sizes: readonly number[] = [65_536],
): Promise<{ parts: StreamPart[]; rest: Buffer; position: number }> {
  const reader = new ChunkReader(inChunks(file, sizes));
  const parts: StreamPart[] = [];
  for await (const part of takeStreams(reader)) parts.push(part);
  const { position } = reader;
  const rest: Buffer[] = [];
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) rest.push(chunk);
  return { parts, rest: Buffer.concat(rest), position };
}

const kinds = (parts: readonly StreamPart[]): string =>
  parts.map((part) => (part.kind === 'stream' ? String(part.level) : 'b')).join('');

test('streams one after another, empty ones among them, and what follows is left', async (t) => {
  const empty = await bzip2(Buffer.alloc(0), 3);
  const one = await bzip2(prose(1000, 1), 9);
  const two = await bzip2(noise(150_000, 1), 1);
  const file = Buffer.concat([empty, one, two, empty]);
  for (const after of ['', '0707', 'BZh', 'BZh0', 'junk and more']) {
    for (const sizes of [[65_536], [1], [3, 70_000]]) {
      const { parts, rest, position } = await take(Buffer.concat([file, Buffer.from(after)]), sizes);
      t.is(kinds(parts), '39b1bb3', after);
      t.is(rest.toString(), after);
      t.is(position, file.length);
    }
  }
});

test('blocks carry the offset they begin at', async (t) => {
  const file = await bzip2(noise(350_000, 2), 1);
  const { parts } = await take(file);
  t.deepEqual(
    parts.flatMap((part) => (part.kind === 'block' ? [part.offset] : [])),
    blocksIn(file).blocks.map(({ start }) => start >>> 3),
  );
});

test('the longest blocks there are, in chunks of any size', async (t) => {
  const plain = noise(2_000_000, 3);
  const file = await bzip2(plain);
  for (const sizes of [[1 << 20], [4096], [5_000_000]]) t.is(kinds((await take(file, sizes)).parts), '9bbb');
  const many = await output('pbzip2', ['-b1', '-c'], plain);
  t.regex(kinds((await take(many)).parts), /^(9b+){20}$/);
});

test('a stream cut short anywhere is refused', async (t) => {
  const file = Buffer.concat([await bzip2(prose(700, 4)), await bzip2(noise(90, 4))]);
  const first = (await bzip2(prose(700, 4))).length;
  for (let length = 0; length < file.length; length++) {
    if (length >= first && length < first + 4) continue; // a whole stream, and what is no other
    const error = await t.throwsAsync(take(file.subarray(0, length)), { instanceOf: ImageError });
    t.is(error.code, length < 4 ? 'BAD_MAGIC' : 'TRUNCATED', `cut at ${length}`);
  }
});

test('a stream whose sum is wrong is refused', async (t) => {
  const file = await bzip2(prose(700, 5));
  const wrong = Buffer.from(file);
  wrong[wrong.length - 3]! ^= 0x10;
  const error = await t.throwsAsync(take(wrong), { instanceOf: ImageError });
  t.is(error.code, 'BAD_CHECKSUM');
  t.regex(error.message, /fails its CRC/);
});

/** A generator of numbers that are the same each time (mulberry32). */
function draws(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

test('ten thousand damaged files end in blocks or in an error of ours', async (t) => {
  const samples = await Promise.all([
    bzip2(prose(2000, 6)),
    bzip2(noise(300, 6)),
    bzip2(Buffer.alloc(5000)),
    output('lbzip2', ['-c'], prose(900, 7)),
  ]);
  const draw = draws(1);
  const codes = new Map<string, number>();
  for (let run = 0; run < 10_000; run++) {
    if (run % 100 === 0) await setImmediate(); // the programs of the tests beside it have their limits
    const file = Buffer.from(samples[draw(samples.length)]!);
    for (let changes = 1 + draw(3); changes > 0; changes--) file[draw(file.length)]! ^= 1 << draw(8);
    const cut = draw(4) === 0 ? file.subarray(0, draw(file.length)) : file;
    const code = await take(cut).then(
      () => 'read',
      (error: unknown) => {
        if (!(error instanceof ImageError)) throw error;
        return error.code;
      },
    );
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  t.deepEqual([...codes.keys()].sort(), ['BAD_CHECKSUM', 'BAD_MAGIC', 'TRUNCATED', 'read']);
});

test('chunks of any size give the same parts', async (t) => {
  const file = await bzip2(noise(250_000, 8), 1);
  const { parts } = await take(file, [1000]);
  for (const sizes of [[7], [300_000], [1, 99_999]]) t.deepEqual((await take(file, sizes)).parts, parts);
});
