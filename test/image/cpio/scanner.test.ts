import test from 'ava';
import fc from 'fast-check';
import { HEADER_SIZE } from '../../../src/image/cpio/header.js';
import { CpioScanner, type ScannedEntry } from '../../../src/image/cpio/scanner.js';
import { ImageError } from '../../../src/image/errors.js';
import { archive } from '../archive-models.js';
import { archiveBytes, item, itemBytes, type Item } from '../newc.js';

interface Scan {
  readonly entries: ScannedEntry[];
  readonly trailer: ScannedEntry | undefined;
  readonly taken: number; // bytes that belong to the archive
}

/** Scans `bytes` in chunks of the given sizes, over and over. */
function scan(bytes: Buffer, sizes: readonly number[], base = 0): Scan {
  const entries: ScannedEntry[] = [];
  let trailer: ScannedEntry | undefined;
  const scanner = new CpioScanner(base, {
    onEntry: (entry) => entries.push(entry),
    onTrailer: (entry) => (trailer = entry),
  });
  let taken = 0;
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const chunk = bytes.subarray(at, at + sizes[turn % sizes.length]!);
    at += chunk.length;
    taken += scanner.push(chunk);
    if (scanner.finished) break;
  }
  scanner.finish();
  return { entries, trailer, taken };
}

const SMALL: readonly Item[] = [
  item({ name: '.', mode: 0o040755 }),
  item({ name: 'a', data: Buffer.from('12345') }),
  item({ name: 'link', mode: 0o120777, data: Buffer.from('some/where/else') }),
  item({ name: 'empty' }),
  item({ name: 'b\xff', data: Buffer.from('1234') }),
];

test('entries, their places and the targets of links', (t) => {
  const bytes = archiveBytes(SMALL);
  const { entries, trailer, taken } = scan(bytes, [bytes.length], 1000);
  let offset = 1000;
  SMALL.forEach((one, at) => {
    const head = HEADER_SIZE + one.name.length + 1;
    const end = offset + itemBytes(one).length;
    t.like(entries[at], { rawName: one.name, offset, dataOffset: offset + head + (-head & 3), end });
    offset = end;
  });
  t.deepEqual(
    entries.map(({ target }) => target),
    [undefined, undefined, 'some/where/else', undefined, undefined],
  );
  t.is(trailer?.offset, offset);
  t.is(trailer?.end, offset + 124);
  t.is(taken, offset + 124 - 1000, 'the zeros after the trailer are left');
});

test('any chunking of an archive gives the same entries', (t) => {
  const sizes = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 500 }), fc.constant(100_003)),
    { minLength: 1, maxLength: 30 },
  );
  const small = archive.map((items) => items.filter(({ data }) => data.length < 5000));
  fc.assert(
    fc.property(small, sizes, (items, cuts) => {
      const bytes = archiveBytes(items);
      t.deepEqual(scan(bytes, cuts), scan(bytes, [bytes.length]));
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('every chunk size from 1 to the length of an archive gives the same entries', (t) => {
  const bytes = archiveBytes(SMALL, 4);
  const whole = scan(bytes, [bytes.length]);
  for (let size = 1; size <= bytes.length; size++) t.deepEqual(scan(bytes, [size]), whole);
});

test('an archive cut short anywhere is an error that says where, never success', (t) => {
  const bytes = archiveBytes(SMALL, 4);
  const starts = [0];
  for (const one of SMALL) starts.push(starts.at(-1)! + itemBytes(one).length);
  for (let length = 0; length < bytes.length; length++) {
    for (const size of [1, 7, bytes.length]) {
      const error = t.throws(() => scan(bytes.subarray(0, length), [size]), { instanceOf: ImageError });
      t.is(error.code, 'TRUNCATED');
      t.true(error.message.startsWith(`the cpio archive ends at offset ${length} `), error.message);
      const inside = SMALL.findLast((one, at) => {
        const head = HEADER_SIZE + one.name.length + 1;
        return length >= starts[at]! + head + (-head & 3) && length < starts[at + 1]!;
      });
      const where =
        inside === undefined
          ? 'before its trailer'
          : `inside /${inside.name.replace('\xff', '\\xff').replace(/^\.$/, '')}, ${starts[SMALL.indexOf(inside) + 1]! - length} bytes short`;
      t.true(error.message.includes(where), `${error.message} (${where})`);
    }
  }
});

test('bytes after the trailer are not taken', (t) => {
  const bytes = archiveBytes(SMALL, 4);
  const { taken } = scan(Buffer.concat([bytes, Buffer.from('garbage')]), [64]);
  t.is(taken, bytes.length);
});

test('an archive of a trailer alone', (t) => {
  const { entries, trailer } = scan(archiveBytes([]), [5]);
  t.deepEqual(entries, []);
  t.is(trailer?.offset, 0);
});

test('a text is told from an archive at its first six bytes', (t) => {
  const error = t.throws(() => scan(Buffer.from('hello world'), [3]), { instanceOf: ImageError });
  t.is(error.code, 'BAD_MAGIC');
  t.regex(error.message, /offset 0: found "hello "/);
});

for (const [title, spoil, pattern] of [
  [
    'a name without its NUL',
    (bytes: Buffer) => bytes.write('x', HEADER_SIZE + 5, 'latin1'),
    /offset 40: its name does not end in NUL/,
  ],
  [
    'a name with a NUL inside',
    (bytes: Buffer) => bytes.write('\0', HEADER_SIZE + 2, 'latin1'),
    /offset 40: its name holds a NUL/,
  ],
] as const) {
  test(`${title} is refused`, (t) => {
    const bytes = archiveBytes([item({ name: 'hello' })]);
    spoil(bytes);
    const error = t.throws(() => scan(bytes, [17], 40), { instanceOf: ImageError });
    t.is(error.code, 'BAD_HEADER');
    t.regex(error.message, pattern);
  });
}

test('a size that lies runs into the end or into another header, and is an error either way', (t) => {
  for (const size of [1, 4, 9, 100, 1000, 0x7fff_ffff, 0xffff_ffff]) {
    const bytes = archiveBytes(SMALL, 4);
    const at = itemBytes(SMALL[0]!).length;
    bytes.write(size.toString(16).padStart(8, '0'), at + 6 + 6 * 8, 'latin1');
    const error = t.throws(() => scan(bytes, [50]), { instanceOf: ImageError });
    t.true(['TRUNCATED', 'BAD_MAGIC', 'BAD_HEADER'].includes(error.code), error.message);
  }
});

test('a link has a target of up to 4095 bytes', (t) => {
  const link = item({ name: 'l', mode: 0o120777, data: Buffer.alloc(4096, 0x61) });
  t.throws(() => scan(archiveBytes([link]), [33]), { code: 'NAME_TOO_LONG' });
  const longest = { ...link, data: Buffer.alloc(4095, 0x61) };
  t.is(scan(archiveBytes([longest]), [33]).entries[0]!.target, 'a'.repeat(4095));
});

test('a file of 2^32-1 bytes is passed over without being kept', (t) => {
  const entries: ScannedEntry[] = [];
  const scanner = new CpioScanner(0, { onEntry: (entry) => entries.push(entry), onTrailer: () => undefined });
  const head = itemBytes(item({ name: 'big' }));
  head.write('ffffffff', 6 + 6 * 8, 'latin1');
  scanner.push(head);
  const chunk = Buffer.alloc(1 << 24);
  for (let left = 2 ** 32; left > 0; left -= chunk.length) t.is(scanner.push(chunk), chunk.length);
  scanner.push(archiveBytes([]));
  scanner.finish();
  t.is(entries[0]?.end, head.length + 2 ** 32);
});
