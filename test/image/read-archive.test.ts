import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { loadEntries } from '../../src/image/archive-index.js';
import { encodeDescriptor } from '../../src/image/archive.js';
import { ImageError, type ImageErrorCode } from '../../src/image/errors.js';
import { readArchive } from '../../src/image/read-archive.js';
import { zeroCounts } from '../../src/image/segment-writer.js';
import { DEFAULT_LIMITS, type UnpackLimits } from '../../src/image/unpack-limits.js';
import { archive, filling } from './archive-models.js';
import { inChunks, MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, type Item } from './newc.js';
import { output, run } from './programs.js';
import { fileOf, plainOf } from './splicing.js';

const file = (name: string, data: string): Item => item({ name, data: Buffer.from(data) });

const MICROCODE = archiveBytes([file('kernel/x86/microcode/GenuineIntel.bin', 'µ'.repeat(1000))]);
const MAIN_ITEMS = [
  item({ name: 'bin', mode: 0o040755 }),
  file('bin/sh', 'x'.repeat(70_000)),
  file('init', '#!'),
];
const MAIN = archiveBytes(MAIN_ITEMS);
const OVERLAY = archiveBytes([file('etc/hello', 'hi')]);
const gz = (plain: Buffer): Buffer => zlib.gzipSync(plain);
const zeros = (length: number): Buffer => Buffer.alloc(length);
/** MAIN in a gzip member whose length is one more than a multiple of 4. */
const ODD = ((): Buffer => {
  const member = gz(MAIN);
  const name = `${'n'.repeat(-member.length & 3)}\0`;
  const header = Buffer.from(member.subarray(0, 10));
  header[3] = 8; // FNAME
  return Buffer.concat([header, Buffer.from(name), member.subarray(10)]);
})();
const toFour = (bytes: Buffer): Buffer => zeros(-bytes.length & 3);

interface Layout {
  readonly title: string;
  readonly file: Buffer;
  readonly frames: readonly (readonly ['gzip' | 'none', Buffer])[]; // the plain bytes of each frame
  readonly names: readonly string[];
}

const MAIN_NAMES = ['bin', 'bin/sh', 'init'];
const MICROCODE_NAME = 'kernel/x86/microcode/GenuineIntel.bin';

const layouts: readonly Layout[] = [
  { title: 'plain', file: MAIN, frames: [['none', MAIN]], names: MAIN_NAMES },
  { title: 'gzip', file: gz(MAIN), frames: [['gzip', MAIN]], names: MAIN_NAMES },
  {
    title: 'plain microcode, zeros, gzip',
    file: Buffer.concat([MICROCODE, zeros(1000), gz(MAIN)]),
    frames: [
      ['none', Buffer.concat([MICROCODE, zeros(1000)])],
      ['gzip', MAIN],
    ],
    names: [MICROCODE_NAME, ...MAIN_NAMES],
  },
  {
    title: 'gzip, gzip',
    file: Buffer.concat([gz(MAIN), gz(OVERLAY)]),
    frames: [
      ['gzip', MAIN],
      ['gzip', OVERLAY],
    ],
    names: [...MAIN_NAMES, 'etc/hello'],
  },
  {
    title: 'gzip, zeros to a multiple of 4, gzip',
    file: Buffer.concat([ODD, zeros(3), gz(OVERLAY)]),
    frames: [
      ['gzip', MAIN],
      ['none', Buffer.alloc(0)],
      ['gzip', OVERLAY],
    ],
    names: [...MAIN_NAMES, 'etc/hello'],
  },
  {
    title: 'gzip, 4096 zeros, gzip, 128 KiB of zeros',
    file: Buffer.concat([
      gz(MAIN),
      toFour(gz(MAIN)),
      zeros(4096),
      gz(OVERLAY),
      toFour(gz(OVERLAY)),
      zeros(131_072),
    ]),
    frames: [
      ['gzip', MAIN],
      ['none', zeros(4096)],
      ['gzip', OVERLAY],
      ['none', zeros(131_072)],
    ],
    names: [...MAIN_NAMES, 'etc/hello'],
  },
  {
    title: 'gzip, zeros to a multiple of 4, plain',
    file: Buffer.concat([ODD, zeros(3), OVERLAY]),
    frames: [
      ['gzip', MAIN],
      ['none', OVERLAY],
    ],
    names: [...MAIN_NAMES, 'etc/hello'],
  },
  {
    title: 'one archive in two gzip members, cut inside a file',
    file: Buffer.concat([gz(MAIN.subarray(0, 3333)), gz(MAIN.subarray(3333))]),
    frames: [['gzip', MAIN]],
    names: MAIN_NAMES,
  },
  {
    title: 'one archive in two gzip members, cut between entries',
    file: Buffer.concat([gz(MAIN.subarray(0, 116)), gz(MAIN.subarray(116))]),
    frames: [['gzip', MAIN]],
    names: MAIN_NAMES,
  },
  {
    title: 'one archive in two gzip members, cut in the zeros after the trailer',
    file: Buffer.concat([gz(MAIN.subarray(0, -20)), gz(MAIN.subarray(-20))]),
    frames: [
      ['gzip', MAIN.subarray(0, -20)],
      ['gzip', zeros(20)],
    ],
    names: MAIN_NAMES,
  },
  {
    title: 'two archives in one gzip member',
    file: gz(Buffer.concat([MAIN, OVERLAY])),
    frames: [['gzip', Buffer.concat([MAIN, OVERLAY])]],
    names: [...MAIN_NAMES, 'etc/hello'],
  },
  {
    title: 'two plain archives',
    file: Buffer.concat([MAIN, OVERLAY]),
    frames: [['none', Buffer.concat([MAIN, OVERLAY])]],
    names: [...MAIN_NAMES, 'etc/hello'],
  },
  {
    title: 'an archive without zeros after its trailer',
    file: gz(archiveBytes(MAIN_ITEMS, 4)),
    frames: [['gzip', archiveBytes(MAIN_ITEMS, 4)]],
    names: MAIN_NAMES,
  },
  {
    title: 'an archive without entries',
    file: gz(archiveBytes([])),
    frames: [['gzip', archiveBytes([])]],
    names: [],
  },
  {
    title: 'an empty gzip member before the archive',
    file: Buffer.concat([gz(Buffer.alloc(0)), gz(MAIN)]),
    frames: [['gzip', MAIN]],
    names: MAIN_NAMES,
  },
  {
    title: 'stored blocks, as gzip makes of noise',
    file: gz(archiveBytes([item({ name: 'noise', data: randomBytes(2_500_000) })])),
    frames: [],
    names: ['noise'],
  },
];

for (const { title, file: bytes, frames, names } of layouts) {
  test(`reads: ${title}`, async (t) => {
    const descriptors: string[] = [];
    for (const sizes of [[65_536], [1000, 1, 77], [bytes.length]]) {
      const blobs = new MemoryBlobs();
      const read = await readArchive(inChunks(bytes, sizes), blobs, zeroCounts());
      descriptors.push(encodeDescriptor(read).toString());
      const plain = await plainOf(read, blobs);
      if (frames.length > 0) {
        t.deepEqual(
          read.frames.map(({ codec }) => codec),
          frames.map(([codec]) => codec),
        );
        frames.forEach(([, expected], at) => t.true(plain[at]!.equals(expected), `frame ${at}`));
      }
      t.deepEqual(
        (await loadEntries(read, blobs)).map(({ rawName }) => rawName),
        [...names],
      );
      // gzip stops with a warning at what is not gzip: at the same place in both.
      const [before, after] = [
        await run('gzip', ['-dc'], bytes),
        await run('gzip', ['-dc'], fileOf(read, blobs)),
      ];
      t.true(after.stdout.equals(before.stdout));
      if (bytes[0] === 0x1f) t.true(before.stdout.length > 0);
    }
    t.is(new Set(descriptors).size, 1, 'however the file comes in chunks, the descriptor is the same');
  });
}

test('what is stored of any archive decompresses to what gzip -dc makes of it', async (t) => {
  await fc.assert(
    fc.asyncProperty(archive, fc.constantFrom(1, 6, 9), fc.nat(2000), async (items, level, after) => {
      const plain = Buffer.concat([archiveBytes(items, 4), zeros(after)]);
      const blobs = new MemoryBlobs();
      const counts = zeroCounts();
      const read = await readArchive(inChunks(zlib.gzipSync(plain, { level }), [10_007]), blobs, counts);
      t.true((await output('gzip', ['-dc'], fileOf(read, blobs))).equals(plain));
      t.is(counts.compressed, plain.length);
      t.deepEqual(
        (await loadEntries(read, blobs)).map(({ rawName, offset }) => [rawName, offset]),
        items.map(({ name }, at) => [name, archiveBytes(items.slice(0, at), 4).length - 124]),
      );
    }),
    { seed: 1, numRuns: 40 },
  );
});

test('headers of gzip members stay as they were found', async (t) => {
  const named = await output(
    'sh',
    ['-c', 'cat > "$0"; gzip -c "$0"; rm "$0"', `/tmp/rackboot-named-${process.pid}`],
    MAIN,
  );
  t.is(named[3], 8, 'gzip wrote the name');
  const blobs = new MemoryBlobs();
  const read = await readArchive(inChunks(named, [100]), blobs, zeroCounts());
  const end = named.indexOf(0, 10) + 1;
  t.true(fileOf(read, blobs).subarray(0, end).equals(named.subarray(0, end)));
});

const compressed =
  (program: string, ...args: string[]) =>
  (): Promise<Buffer> =>
    output(program, args, MAIN);

const refusals: readonly (readonly [string, Buffer | (() => Promise<Buffer>), ImageErrorCode, RegExp])[] = [
  ['an empty file', Buffer.alloc(0), 'TRUNCATED', /^the archive is empty; give a cpio archive/],
  [
    'a text file',
    Buffer.from('#!/bin/sh\necho hello\n'),
    'BAD_MAGIC',
    /^not an archive: "#!\/bin" at offset 0/,
  ],
  ['a file of zeros', zeros(5000), 'BAD_MAGIC', /^not an archive/],
  ['one byte', Buffer.from('x'), 'BAD_MAGIC', /^not an archive: "x"/],
  [
    'a compressed text',
    gz(Buffer.from('hello world, again')),
    'BAD_MAGIC',
    /^no newc cpio header at offset 0: found "hello "/,
  ],
  ['compressed nothing', gz(Buffer.alloc(0)), 'TRUNCATED', /^the archive is empty/],
  ['compressed zeros', gz(zeros(5000)), 'TRUNCATED', /^the archive is empty/],
  ['lzma', compressed('xz', '--format=lzma', '-c'), 'UNKNOWN_CODEC', /^the archive is lzma-compressed/],
  [
    'text after a compressed archive',
    Buffer.concat([gz(MAIN), Buffer.from('garbage')]),
    'BAD_MAGIC',
    new RegExp(`^not an archive: "garbag" at offset ${gz(MAIN).length}`),
  ],
  [
    'text after a plain archive',
    Buffer.concat([MAIN, Buffer.from('garbage')]),
    'BAD_MAGIC',
    new RegExp(`at offset ${MAIN.length} begins no`),
  ],
  [
    'text after zeros',
    Buffer.concat([gz(MAIN), zeros(999), Buffer.from('garbage')]),
    'BAD_MAGIC',
    /"garbag" at offset/,
  ],
  [
    'text after an archive in the same member',
    gz(Buffer.concat([MAIN, Buffer.from('garbage')])),
    'BAD_MAGIC',
    new RegExp(`offset ${MAIN.length}: found "garbag"`),
  ],
  [
    'a plain archive where the kernel does not look',
    Buffer.concat([gz(MAIN), toFour(gz(MAIN)), zeros(1), OVERLAY]),
    'BAD_MAGIC',
    /a plain cpio archive begins at offset \d+, where the kernel would not read it/,
  ],
  [
    'a plain archive cut short',
    MAIN.subarray(0, 40_000),
    'TRUNCATED',
    /ends at offset 40000 inside \/bin\/sh, \d+ bytes short/,
  ],
  ['a plain archive without a trailer', MAIN.subarray(0, 116), 'TRUNCATED', /before its trailer/],
  ['a gzip file cut short', gz(MAIN).subarray(0, -100), 'TRUNCATED', /ends inside its data at offset/],
  ['a gzip file without its last byte', gz(MAIN).subarray(0, -1), 'TRUNCATED', /ends inside its trailer/],
  [
    'a whole gzip member with an archive cut short',
    gz(MAIN.subarray(0, 40_000)),
    'TRUNCATED',
    /offset 40000 inside \/bin\/sh/,
  ],
  [
    'a second member cut short',
    Buffer.concat([gz(MAIN), gz(OVERLAY).subarray(0, 30)]),
    'TRUNCATED',
    /ends inside its data/,
  ],
  [
    'a gzip file with a wrong sum',
    Buffer.concat([gz(MAIN).subarray(0, -8), Buffer.from('12345678')]),
    'BAD_CHECKSUM',
    /fails its CRC-32/,
  ],
];

for (const [title, ...words] of [
  ['xz', 'xz', '--check=crc32', '-c'],
  ['zstd', 'zstd', '-c'],
  ['lz4', 'lz4', '-l', '-c'],
  ['bzip2', 'bzip2', '-c'],
] as const) {
  test(`reads microcode, then an archive by ${title}`, async (t) => {
    const [program, ...args] = words;
    const blobs = new MemoryBlobs();
    const bytes = Buffer.concat([MICROCODE, await compressed(program, ...args)()]);
    const read = await readArchive(inChunks(bytes, [1000]), blobs, zeroCounts());
    t.deepEqual(
      (await loadEntries(read, blobs)).map(({ rawName }) => rawName),
      [MICROCODE_NAME, ...MAIN_NAMES],
    );
    t.true((await plainOf(read, blobs)).at(-1)!.equals(MAIN));
  });
}

for (const [title, bytes, code, pattern] of refusals) {
  test(`refuses: ${title}`, async (t) => {
    const source = Buffer.isBuffer(bytes) ? bytes : await bytes();
    for (const size of [1, 100, 65_536]) {
      const reading = readArchive(inChunks(source, [size]), new MemoryBlobs(), zeroCounts());
      const error = await t.throwsAsync(reading, { instanceOf: ImageError });
      t.is(error.code, code);
      t.regex(error.message, pattern);
      t.false(error.message.includes('\n'));
    }
  });
}

test('a plain or compressed archive cut short anywhere is refused', async (t) => {
  const items = [item({ name: 'd', mode: 0o040755 }), file('f', '12345'), file('g', 'x'.repeat(200))];
  const plain = archiveBytes(items, 4);
  const member = gz(plain);
  for (const [whole, complete] of [
    [plain, []],
    [member, []],
    [Buffer.concat([member, member]), [member.length]],
  ] as const) {
    for (let length = 0; length < whole.length; length++) {
      if (complete.some((end) => end === length)) continue;
      const cut = inChunks(whole.subarray(0, length), [50]);
      const error = await t.throwsAsync(readArchive(cut, new MemoryBlobs(), zeroCounts()), {
        instanceOf: ImageError,
      });
      // Of less than a magic number, nobody can say what it was.
      const unknown = error.code === 'BAD_MAGIC' && length % member.length < 6;
      t.true(error.code === 'TRUNCATED' || unknown, `${length}: ${error.message}`);
    }
  }
});

const BOMB_LIMITS: UnpackLimits = { ...DEFAULT_LIMITS, maxRatio: 20, ratioFloor: 1_000_000 };

test('a decompression bomb is refused soon after the limit', async (t) => {
  const bomb = gz(archiveBytes([item({ name: 'zeros', data: Buffer.alloc(50_000_000) })]));
  for (const source of [bomb, Buffer.concat([gz(MAIN), bomb])]) {
    const blobs = new MemoryBlobs();
    const counts = zeroCounts();
    const reading = readArchive(inChunks(source, [500]), blobs, counts, BOMB_LIMITS);
    const error = await t.throwsAsync(reading, { instanceOf: ImageError });
    t.is(error.code, 'TOO_LARGE');
    t.regex(
      error.message,
      /^the archive unpacks to more than 20 times its size, at offset \d+: .* --max-growth$/,
    );
    t.true(counts.compressed < 3_000_000, `${counts.compressed} bytes were unpacked`);
  }
});

test('many small bombs one after another are one large one', async (t) => {
  const bomb = gz(archiveBytes([item({ name: 'zeros', data: Buffer.alloc(900_000) })]));
  const reading = readArchive(
    inChunks(Buffer.concat(Array<Buffer>(9).fill(bomb)), [500]),
    new MemoryBlobs(),
    zeroCounts(),
    BOMB_LIMITS,
  );
  t.is((await t.throwsAsync(reading, { instanceOf: ImageError })).code, 'TOO_LARGE');
});

test('an archive beyond the size allowed is refused, however little it grows', async (t) => {
  const noise = gz(archiveBytes([item({ name: 'noise', data: randomBytes(2_000_000) })]));
  const limits: UnpackLimits = { ...DEFAULT_LIMITS, maxSize: 1_500_000 };
  const reading = readArchive(inChunks(noise, [5000]), new MemoryBlobs(), zeroCounts(), limits);
  const error = await t.throwsAsync(reading, { instanceOf: ImageError });
  t.is(error.code, 'TOO_LARGE');
  t.regex(
    error.message,
    /^the archive unpacks to more than 1500000 bytes, at offset \d+: .* --max-unpacked$/,
  );
});

test('below the floor and below the ratio nothing is a bomb', async (t) => {
  const small = gz(archiveBytes([item({ name: 'zeros', data: Buffer.alloc(900_000) })]));
  await t.notThrowsAsync(readArchive(inChunks(small, [500]), new MemoryBlobs(), zeroCounts(), BOMB_LIMITS));
  const noise = gz(archiveBytes([item({ name: 'noise', data: randomBytes(2_000_000) })]));
  await t.notThrowsAsync(readArchive(inChunks(noise, [500]), new MemoryBlobs(), zeroCounts(), BOMB_LIMITS));
});

test('a source that fails is reported as it is, and closed', async (t) => {
  let closed = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      yield gz(archiveBytes([item({ name: 'f', data: filling(300_000, 1) })])).subarray(0, 500);
      throw new Error('the network is gone');
    } finally {
      closed = true;
    }
  }
  await t.throwsAsync(readArchive(source(), new MemoryBlobs(), zeroCounts()), {
    message: 'the network is gone',
  });
  t.true(closed);
});
