import test from 'ava';
import { coalesce, readPieces, type Part } from '../../src/store/extents.js';
import { FileRun } from '../../src/store/file-run.js';
import type { Store } from '../../src/store/records.js';
import type { BlobReader, Piece } from '../../src/store/types.js';
import { noise, putAll, temporaryStore } from './temporary-site.js';

const KIB = 1024;

/** The bytes of pieces, and the lengths of those that are runs of files. */
async function collect(pieces: AsyncIterable<Piece>): Promise<{ bytes: Buffer; runs: number[] }> {
  const chunks: Buffer[] = [];
  const runs: number[] = [];
  for await (const piece of pieces) {
    if (piece instanceof FileRun) runs.push(piece.length);
    chunks.push(piece instanceof FileRun ? piece.bytes(0, piece.length) : Buffer.from(piece));
  }
  return { bytes: Buffer.concat(chunks), runs };
}

/** A long blob, a literal, a short blob and a long one again; and their bytes. */
async function mixed(store: Store): Promise<{ parts: Part[]; bytes: Buffer }> {
  const [long, short] = [noise(1, 200 * KIB), noise(2, 10 * KIB)];
  const [ofLong, ofShort] = await putAll(store, [long, short]);
  const literal = Buffer.from('literal');
  const parts: Part[] = [
    { kind: 'blob', blob: ofLong!, offset: 0, length: long.length },
    { kind: 'inline', bytes: literal },
    { kind: 'blob', blob: ofShort!, offset: 0, length: short.length },
    { kind: 'zero', length: 10 },
    { kind: 'blob', blob: ofLong!, offset: 5, length: 100 * KIB },
  ];
  const bytes = Buffer.concat([long, literal, short, Buffer.alloc(10), long.subarray(5, 5 + 100 * KIB)]);
  return { parts, bytes };
}

test('long runs of a pack are lent, short ones and literals are read', async (t) => {
  const { store } = await temporaryStore(t);
  const { parts, bytes } = await mixed(store);
  const map = coalesce(parts);
  const whole = await collect(readPieces(map, store.blobs, 0, map.size));
  t.true(whole.bytes.equals(bytes));
  t.deepEqual(whole.runs, [200 * KIB, 100 * KIB]);
  const inside = await collect(readPieces(map, store.blobs, 150 * KIB, map.size - 1));
  t.true(inside.bytes.equals(bytes.subarray(150 * KIB, -1)));
  t.deepEqual(inside.runs, [100 * KIB - 1]);
});

test('a pack that is gone since its blobs were located is looked for again, and gone on with', async (t) => {
  const { store } = await temporaryStore(t);
  const { parts, bytes } = await mixed(store);
  const map = coalesce([{ kind: 'inline', bytes: Buffer.from('before') }, ...parts]);
  let located = 0;
  const blobs: BlobReader = {
    locate: async (wanted) => {
      const found = await store.blobs.locate(wanted);
      located++;
      const isOld = located <= 2; // what a rewrite made of it is known later
      return new Map(
        [...found].map(([digest, place]) => [
          digest,
          isOld ? { ...place, path: `${place.path}.old` } : place,
        ]),
      );
    },
    readFile: (...of) => store.blobs.readFile(...of),
    lendFile: (path, offset, length) => store.blobs.lendFile!(path, offset, length),
  };
  const { bytes: read } = await collect(readPieces(map, blobs, 0, map.size));
  t.true(read.equals(Buffer.concat([Buffer.from('before'), bytes])));
  t.is(located, 3);
});

test('where files cannot be lent, all pieces are bytes', async (t) => {
  const { store } = await temporaryStore(t);
  const { parts, bytes } = await mixed(store);
  const map = coalesce(parts);
  const blobs: BlobReader = {
    locate: (wanted) => store.blobs.locate(wanted),
    readFile: (...of) => store.blobs.readFile(...of),
  };
  const { bytes: read, runs } = await collect(readPieces(map, blobs, 0, map.size));
  t.true(read.equals(bytes));
  t.deepEqual(runs, []);
});
