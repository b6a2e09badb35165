import test from 'ava';
import fc from 'fast-check';
import {
  archiveBlobs,
  archiveMap,
  decodeDescriptor,
  decodeIndex,
  encodeDescriptor,
  encodeIndex,
  type ArchiveDescriptor,
  type IndexedEntry,
} from '../../src/image/archive.js';
import { ImageError } from '../../src/image/errors.js';
import { sha256 } from '../../src/store/digest.js';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const digest = fc.nat().map((n) => sha256(`${n}`));
const latin1 = fc
  .array(fc.integer({ min: 1, max: 255 }), { maxLength: 40 })
  .map((codes) => String.fromCharCode(...codes));

const segment = fc.record(
  {
    kind: fc.constantFrom('entries' as const, 'tail' as const, 'zeros' as const),
    blob: digest,
    stored: fc.integer({ min: 1, max: 9999 }),
    plain: u32,
    check: u32,
    index: fc.option(digest),
    source: digest,
  },
  { requiredKeys: ['kind', 'blob', 'stored', 'plain', 'check', 'index'] },
);
const descriptor: fc.Arbitrary<ArchiveDescriptor> = fc.record({
  frames: fc.array(
    fc.record({
      codec: fc.constantFrom('gzip' as const, 'none' as const),
      prologue: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      segments: fc.array(segment, { maxLength: 5 }),
    }),
    { maxLength: 4 },
  ),
});

test('a descriptor reads back as it was written', (t) => {
  fc.assert(
    fc.property(descriptor, (written) => {
      t.deepEqual(decodeDescriptor(encodeDescriptor(written)), written);
    }),
    { seed: 1 },
  );
});

test('an index reads back as it was written', (t) => {
  const entry = fc.record(
    {
      header: fc.record({
        magic: fc.constantFrom('070701' as const, '070702' as const),
        ...{ ino: u32, mode: u32, uid: u32, gid: u32, nlink: u32, mtime: u32, size: u32 },
        ...{ devMajor: u32, devMinor: u32, rdevMajor: u32, rdevMinor: u32, check: u32 },
      }),
      rawName: latin1,
      at: u32,
      target: latin1,
    },
    { requiredKeys: ['header', 'rawName', 'at'] },
  );
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 5 }), (made) => {
      const entries = made.map((one): IndexedEntry => ({
        ...one,
        header: { ...one.header, nameSize: one.rawName.length + 1 },
      }));
      t.deepEqual(decodeIndex(encodeIndex(entries)), entries);
    }),
    { seed: 1 },
  );
});

test('a descriptor of a later version is refused', (t) => {
  const later = Buffer.from(JSON.stringify({ version: 2, frames: [] }));
  t.is(t.throws(() => decodeDescriptor(later), { instanceOf: ImageError }).code, 'BAD_HEADER');
});

test('the map is as long as its parts, none of them empty, and every blob in it is named', (t) => {
  fc.assert(
    fc.property(descriptor, (made) => {
      const { size, parts } = archiveMap(made);
      const lengths = parts.map((part) => (part.kind === 'inline' ? part.bytes.length : part.length));
      const sum = lengths.reduce((total, length) => total + length, 0);
      t.is(sum, size);
      t.true(lengths.every((length) => length > 0));
      const named = new Set(archiveBlobs(made));
      t.true(parts.every((part) => part.kind !== 'blob' || named.has(part.blob)));
    }),
    { seed: 1 },
  );
});

const blob = sha256('blob');
const one = { blob, stored: 5, plain: 5, check: 0, index: null } as const;

for (const [kind, padding] of [
  ['entries', 3],
  ['tail', 3],
  ['zeros', 0],
] as const) {
  test(`after 1 byte, a plain frame of ${kind} begins ${padding} zeros later`, (t) => {
    const { parts } = archiveMap({
      frames: [
        { codec: 'none', prologue: Buffer.from([0]), segments: [] },
        { codec: 'none', prologue: Buffer.alloc(0), segments: [{ ...one, kind }] },
      ],
    });
    t.deepEqual(parts, [
      { kind: 'inline', bytes: Buffer.from([0]) },
      ...(padding > 0 ? [{ kind: 'zero' as const, length: padding }] : []),
      { kind: 'blob', blob, offset: 0, length: 5 },
    ]);
  });
}
