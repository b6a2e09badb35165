import test from 'ava';
import { ChunkReader, collect } from '../../src/image/chunks.js';
import { inChunks } from './memory-blobs.js';

const letters = Buffer.from('abcdefghijklmnopqrstuvwxyz');

for (const sizes of [[1], [3], [26], [1000], [2, 7, 1]]) {
  test(`peek, take, next and giveBack over chunks of ${sizes.join(' ')}`, async (t) => {
    const reader = new ChunkReader(inChunks(letters, sizes));
    t.is((await reader.peek(4)).toString(), 'abcd');
    t.is(reader.position, 0);
    t.is((await reader.take(2)).toString(), 'ab');
    t.is(reader.position, 2);
    const next = (await reader.next())!;
    t.is(next.toString(), letters.toString('latin1', 2, 2 + next.length));
    reader.giveBack(next.subarray(1));
    t.is(reader.position, 3);
    t.is((await reader.take(20)).toString(), 'defghijklmnopqrstuvw');
    t.is((await reader.take(20)).toString(), 'xyz');
    t.is((await reader.peek(1)).length, 0);
    t.is(await reader.next(), undefined);
    t.is(reader.position, 26);
  });
}

test('empty chunks are passed over', async (t) => {
  async function* source(): AsyncGenerator<Buffer> {
    for (const text of ['', 'a', '', '', 'b', '']) yield Buffer.from(text);
  }
  const reader = new ChunkReader(source());
  t.is((await reader.next())?.toString(), 'a');
  t.is((await reader.next())?.toString(), 'b');
  t.is(await reader.next(), undefined);
  t.is((await collect(source())).toString(), 'ab');
});

test('close ends the source', async (t) => {
  let closed = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield letters;
    } finally {
      closed = true;
    }
  }
  const reader = new ChunkReader(source());
  await reader.take(3);
  await reader.close();
  t.true(closed);
});
