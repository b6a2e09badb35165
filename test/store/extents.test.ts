import test from 'ava';
import fc from 'fast-check';
import { sha256, type Digest } from '../../src/store/digest.js';
import { StoreError } from '../../src/store/errors.js';
import {
  blobsOf,
  coalesce,
  decodeMap,
  encodeMap,
  partLength,
  readBlob,
  readRange,
  type ExtentMap,
  type Part,
} from '../../src/store/extents.js';
import type { BlobPlace, BlobReader } from '../../src/store/types.js';

const mebibyte = 1024 * 1024;

/** Blobs lying in memory in a few "files", counting what is asked of it. */
class MemoryBlobs implements BlobReader {
  readonly places = new Map<Digest, BlobPlace>();
  readonly files = new Map<string, Buffer>();
  locates = 0;
  reads: { path: string; offset: number; length: number }[] = [];
  bytesRead = 0;

  add(path: string, bytes: Buffer): Digest {
    const before = this.files.get(path) ?? Buffer.alloc(0);
    const digest = sha256(bytes);
    this.places.set(digest, { path, offset: before.length, size: bytes.length });
    this.files.set(path, Buffer.concat([before, bytes]));
    return digest;
  }

  async locate(blobs: Iterable<Digest>): Promise<ReadonlyMap<Digest, BlobPlace>> {
    this.locates++;
    const found = new Map<Digest, BlobPlace>();
    for (const blob of blobs) {
      const place = this.places.get(blob);
      if (place === undefined) throw new StoreError('MISSING_BLOB', blob);
      found.set(blob, place);
    }
    return found;
  }

  async *readFile(path: string, offset: number, length: number): AsyncGenerator<Buffer> {
    const file = this.files.get(path);
    if (file === undefined) throw new StoreError('PACK_GONE', path);
    this.reads.push({ path, offset, length });
    for (let at = offset; at < offset + length; at += 7) {
      const chunk = file.subarray(at, Math.min(at + 7, offset + length));
      this.bytesRead += chunk.length;
      yield chunk;
    }
  }

  async bytesOf(part: Part): Promise<Buffer> {
    if (part.kind === 'inline') return part.bytes;
    if (part.kind === 'zero') return Buffer.alloc(part.length);
    const whole = await readBlob(this, part.blob);
    return whole.subarray(part.offset, part.offset + part.length);
  }
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function materialise(map: ExtentMap, blobs: MemoryBlobs): Promise<Buffer> {
  return Buffer.concat(await Promise.all(map.parts.map((part) => blobs.bytesOf(part))));
}

const shelf = new MemoryBlobs();
const shelfBlobs: readonly Digest[] = Array.from({ length: 12 }, (_, index) =>
  shelf.add(`pack-${index % 3}`, Buffer.from(`blob ${index}: ${'abcdefghij'.repeat(1 + index)}`)),
);

const anyBlobPart: fc.Arbitrary<Part> = fc
  .tuple(fc.constantFrom(...shelfBlobs), fc.nat(), fc.nat())
  .map(([blob, first, second]) => {
    const size = shelf.places.get(blob)!.size;
    const offset = first % size;
    return { kind: 'blob', blob, offset, length: 1 + (second % (size - offset)) };
  });

const anyPart: fc.Arbitrary<Part> = fc.oneof(
  { weight: 3, arbitrary: anyBlobPart },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ minLength: 1, maxLength: 30 })
      .map((bytes) => ({ kind: 'inline', bytes: Buffer.from(bytes) }) as const),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 40 }).map((length) => ({ kind: 'zero', length }) as const),
  },
);

function mapOf(parts: readonly Part[]): ExtentMap {
  return { size: parts.reduce((sum, part) => sum + partLength(part), 0), parts };
}

const anyMap = fc.array(anyPart, { maxLength: 20 }).map(mapOf);

test('every window of every map is that window of its bytes', async (t) => {
  await fc.assert(
    fc.asyncProperty(anyMap, fc.nat(), fc.nat(), async (map, first, second) => {
      const bytes = await materialise(map, shelf);
      const start = first % (map.size + 1);
      const end = start + (second % (map.size - start + 1));
      const expected = bytes.subarray(start, end);
      t.true(expected.equals(await collect(readRange(map, shelf, start, end))));
    }),
    { numRuns: 300 },
  );
});

test('all windows of one small map, one by one', async (t) => {
  const [a, b] = shelfBlobs as [Digest, Digest];
  const map = mapOf([
    { kind: 'blob', blob: a, offset: 2, length: 5 },
    { kind: 'zero', length: 3 },
    { kind: 'inline', bytes: Buffer.from('xy') },
    { kind: 'blob', blob: b, offset: 0, length: 4 },
  ]);
  const bytes = await materialise(map, shelf);
  for (let start = 0; start <= map.size; start++) {
    for (let end = start; end <= map.size; end++) {
      t.deepEqual(await collect(readRange(map, shelf, start, end)), bytes.subarray(start, end));
    }
  }
});

test('encoding and decoding are inverse', (t) => {
  fc.assert(
    fc.property(anyMap, (map) => {
      const encoded = encodeMap(map);
      t.deepEqual(decodeMap(encoded), map);
      t.true(encodeMap(decodeMap(encoded)).equals(encoded));
    }),
  );
});

test('offsets beyond 4 GiB survive encoding', (t) => {
  const blob = shelfBlobs[0]!;
  const map = mapOf([
    { kind: 'blob', blob, offset: 2 ** 45 + 3, length: 2 ** 40 + 1 },
    { kind: 'zero', length: 2 ** 33 },
  ]);
  t.deepEqual(decodeMap(encodeMap(map)), map);
});

test('what decodes is what encodes: any accepted bytes encode to themselves', (t) => {
  fc.assert(
    fc.property(anyMap, fc.nat(), fc.nat({ max: 255 }), (map, at, value) => {
      const bytes = Buffer.from(encodeMap(map));
      bytes[at % bytes.length] = value;
      try {
        t.true(encodeMap(decodeMap(bytes)).equals(bytes));
      } catch (error) {
        t.true(error instanceof StoreError && error.code === 'BAD_MAP', String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('every cut of an encoded map is refused, and so is anything behind it', (t) => {
  const [a, b] = shelfBlobs as [Digest, Digest];
  const bytes = encodeMap(
    mapOf([
      { kind: 'blob', blob: a, offset: 200, length: 5 },
      { kind: 'inline', bytes: Buffer.from('hello') },
      { kind: 'blob', blob: b, offset: 0, length: 300 },
    ]),
  );
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeMap(bytes.subarray(0, length)), { instanceOf: StoreError, code: 'BAD_MAP' });
  }
  t.throws(() => decodeMap(Buffer.concat([bytes, Buffer.from([0])])), { message: /follows its end/ });
});

const digestA = Buffer.alloc(32, 0xaa).toString('hex');
const digestB = Buffer.alloc(32, 0xbb).toString('hex');
const head = Buffer.from('RBMAP1\n').toString('hex');
for (const [why, hex, message] of [
  ['another format', Buffer.from('#!ipxe\n').toString('hex') + '0000', /does not begin/],
  ['a huge count of digests', head + 'ffffffff0f00', /ends early/],
  ['a huge count of parts', head + '00ffffffff0f', /ends early/],
  ['a number too large', head + 'ffffffffffffffffff01', /too large/],
  ['a number longer than needed', head + '8000' + '00', /longer than needed/],
  ['an empty zero part', head + '00' + '01' + '0200', /empty/],
  ['an empty literal', head + '00' + '01' + '0100', /empty/],
  ['an unknown kind', head + '00' + '01' + '0301', /no kind of part 3/],
  ['a digest twice', head + '02' + digestA + digestA + '01' + '00000001', /twice/],
  ['an unused digest', head + '01' + digestA + '01' + '0201', /unused/],
  ['a digest out of order', head + '02' + digestA + digestB + '02' + '00010001' + '00000001', /out of order/],
  ['a blob index beyond the digests', head + '01' + digestA + '01' + '00010001', /out of order/],
] as const) {
  test(`decodeMap refuses ${why}`, (t) => {
    t.throws(() => decodeMap(Buffer.from(hex, 'hex')), { instanceOf: StoreError, code: 'BAD_MAP', message });
  });
}

test('coalesce joins neighbours and keeps the bytes', async (t) => {
  const [a, b] = shelfBlobs as [Digest, Digest];
  const map = coalesce([
    { kind: 'blob', blob: a, offset: 0, length: 3 },
    { kind: 'blob', blob: a, offset: 3, length: 4 },
    { kind: 'blob', blob: a, offset: 8, length: 1 },
    { kind: 'inline', bytes: Buffer.from('a') },
    { kind: 'inline', bytes: Buffer.alloc(0) },
    { kind: 'inline', bytes: Buffer.from('b') },
    { kind: 'zero', length: 2 },
    { kind: 'zero', length: 3 },
    { kind: 'blob', blob: b, offset: 1, length: 1 },
  ]);
  t.deepEqual(map, {
    size: 16,
    parts: [
      { kind: 'blob', blob: a, offset: 0, length: 7 },
      { kind: 'blob', blob: a, offset: 8, length: 1 },
      { kind: 'inline', bytes: Buffer.from('ab') },
      { kind: 'zero', length: 5 },
      { kind: 'blob', blob: b, offset: 1, length: 1 },
    ],
  });
  await fc.assert(
    fc.asyncProperty(anyMap, async (any) => {
      const joined = coalesce(any.parts);
      t.true((await materialise(joined, shelf)).equals(await materialise(any, shelf)));
      t.deepEqual(coalesce(joined.parts), joined);
    }),
    { numRuns: 50 },
  );
});

test('blobsOf names each blob once, in order of first use', (t) => {
  const [a, b] = shelfBlobs as [Digest, Digest];
  const map = mapOf([
    { kind: 'blob', blob: b, offset: 0, length: 1 },
    { kind: 'zero', length: 1 },
    { kind: 'blob', blob: a, offset: 0, length: 1 },
    { kind: 'blob', blob: b, offset: 5, length: 1 },
  ]);
  t.deepEqual([...blobsOf(map)], [b, a]);
});

for (const [start, end] of [
  [-1, 2],
  [0, 11],
  [5, 4],
  [0.5, 2],
  [0, NaN],
  [11, 11],
] as const) {
  test(`bytes ${start} to ${end} of 10 are a RangeError`, (t) => {
    const map = mapOf([{ kind: 'zero', length: 10 }]);
    t.throws(() => readRange(map, shelf, start, end), { instanceOf: RangeError });
  });
}

test('neighbours in one pack are one read, found by one query', async (t) => {
  const blobs = new MemoryBlobs();
  const parts = Array.from({ length: 500 }, (_, index): Part => {
    const blob = blobs.add('pack', Buffer.from(`number ${index};`));
    return { kind: 'blob', blob, offset: 0, length: blobs.places.get(blob)!.size };
  });
  const map = mapOf(parts);
  const bytes = await materialise(map, blobs);
  blobs.locates = 0;
  blobs.reads = [];
  t.true(bytes.equals(await collect(readRange(map, blobs, 0, map.size))));
  t.is(blobs.locates, 1);
  t.deepEqual(blobs.reads, [{ path: 'pack', offset: 0, length: map.size }]);
});

test('nothing is read that is not yielded, and reading stops with the consumer', async (t) => {
  const blobs = new MemoryBlobs();
  const parts = Array.from({ length: 50 }, (_, index): Part => {
    const blob = blobs.add(`pack-${index}`, Buffer.alloc(100, index));
    return { kind: 'blob', blob, offset: 0, length: 100 };
  });
  const map = mapOf(parts);
  await collect(readRange(map, blobs, 130, 260));
  t.is(blobs.bytesRead, 130);
  blobs.bytesRead = 0;
  let seen = 0;
  for await (const chunk of readRange(map, blobs, 0, map.size)) {
    seen += chunk.length;
    if (seen > 150) break;
  }
  t.true(blobs.bytesRead <= seen + 7, `${blobs.bytesRead} bytes were read for ${seen}`);
});

test('literals and zeros come in buffers of at most 1 MiB', async (t) => {
  const map = mapOf([
    { kind: 'inline', bytes: Buffer.alloc(2 * mebibyte + 5, 1) },
    { kind: 'zero', length: 3 * mebibyte + 1 },
  ]);
  const sizes: number[] = [];
  for await (const chunk of readRange(map, shelf, 0, map.size)) sizes.push(chunk.length);
  t.deepEqual(sizes, [mebibyte, mebibyte, 5, mebibyte, mebibyte, mebibyte, 1]);
});

test('a pack that is rewritten while it is read is read on in its new place', async (t) => {
  const blobs = new MemoryBlobs();
  const contents = Array.from({ length: 6 }, (_, index) => Buffer.from(`content of ${index} `.repeat(3)));
  const parts = contents.map((bytes, index): Part => {
    const blob = blobs.add(`old-${index}`, bytes);
    return { kind: 'blob', blob, offset: 3, length: bytes.length - 3 };
  });
  const map = mapOf(parts);
  const expected = await materialise(map, blobs);
  const seen: Buffer[] = [];
  for await (const chunk of readRange(map, blobs, 0, map.size)) {
    seen.push(chunk);
    if (seen.length === 10) {
      for (const path of [...blobs.files.keys()]) blobs.files.delete(path);
      for (const bytes of contents) blobs.add('new', bytes);
    }
  }
  t.true(Buffer.concat(seen).equals(expected));
});

test('a pack that stays away is an error, not a loop', async (t) => {
  const blobs = new MemoryBlobs();
  const blob = blobs.add('pack', Buffer.from('bytes'));
  blobs.files.clear();
  const map = mapOf([{ kind: 'blob', blob, offset: 0, length: 5 }]);
  await t.throwsAsync(collect(readRange(map, blobs, 0, 5)), { code: 'PACK_GONE' });
  await t.throwsAsync(readBlob(blobs, blob), { code: 'PACK_GONE' });
});

test('a part beyond its blob, or of an unknown blob, is an error', async (t) => {
  const blob = shelfBlobs[0]!;
  const beyond = mapOf([{ kind: 'blob', blob, offset: 5, length: 4000 }]);
  await t.throwsAsync(collect(readRange(beyond, shelf, 0, beyond.size)), { code: 'BAD_MAP' });
  const unknown = mapOf([{ kind: 'blob', blob: sha256('nothing'), offset: 0, length: 1 }]);
  await t.throwsAsync(collect(readRange(unknown, shelf, 0, 1)), { code: 'MISSING_BLOB' });
});
