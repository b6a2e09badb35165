import test from 'ava';
import zlib from 'node:zlib';
import { archiveMap, decodeDescriptor, encodeDescriptor } from '../../../src/image/archive.js';
import { loadEntries } from '../../../src/image/archive-index.js';
import { ChunkReader, collect } from '../../../src/image/chunks.js';
import { ImageError } from '../../../src/image/errors.js';
import { partsOf } from '../../../src/image/parts.js';
import { readArchive } from '../../../src/image/read-archive.js';
import { zeroCounts } from '../../../src/image/segment-writer.js';
import { spliceArchive } from '../../../src/image/splice.js';
import { DEFAULT_LIMITS } from '../../../src/image/unpack-limits.js';
import { compressWhole, type WholeCodec } from '../../../src/image/whole/codecs.js';
import { streamBytes, type WholeFormat } from '../../../src/image/whole/framing.js';
import { EDIT_TIME } from '../archive-models.js';
import { inChunks, MemoryBlobs } from '../memory-blobs.js';
import { archiveBytes, item, parseArchive } from '../newc.js';
import { cpioNames, output } from '../programs.js';
import { fileOf, put, remove } from '../splicing.js';

const noise = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = 1; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
};

const PLAIN = archiveBytes([
  item({ name: 'etc', mode: 0o040755, nlink: 2, ino: 1 }),
  item({ name: 'etc/motd', ino: 2, data: Buffer.from('hello\n'), mtime: 1_500_000_000 }),
  item({ name: 'noise', ino: 3, data: noise(400_000) }),
  item({ name: 'text', ino: 4, data: Buffer.alloc(3_000_000, 'the quick brown fox ') }),
]);

interface Peer {
  readonly format: WholeFormat;
  readonly title: string;
  readonly compress: readonly [string, ...string[]];
}

const PEERS: readonly Peer[] = [
  { format: 'xz', title: 'xz', compress: ['xz', '-c', '-1', '--check=crc32'] },
  { format: 'xz', title: 'xz without check', compress: ['xz', '-c', '-1', '--check=none'] },
  { format: 'xz', title: 'xz, SHA-256', compress: ['xz', '-c', '-1', '--check=sha256'] },
  {
    format: 'xz',
    title: 'xz in blocks by threads',
    compress: ['xz', '-c', '-1', '-T2', '--block-size=500000', '--check=crc32'],
  },
  {
    format: 'xz',
    title: 'xz with a BCJ filter',
    compress: ['xz', '-c', '--check=crc32', '--x86', '--lzma2=preset=1'],
  },
  {
    format: 'xz',
    title: 'xz of two streams',
    compress: ['sh', '-c', 'head -c 1000000 | xz -c -1; xz -c -1'],
  },
  { format: 'zstd', title: 'zstd', compress: ['zstd', '-qc'] },
  { format: 'zstd', title: 'zstd without check', compress: ['zstd', '-qc', '-1', '--no-check'] },
  { format: 'zstd', title: 'zstd -19, long window', compress: ['zstd', '-qc', '-12', '--long=27', '-T2'] },
  {
    format: 'zstd',
    title: 'zstd of two frames',
    compress: ['sh', '-c', 'head -c 1000001 | zstd -qc; zstd -qc'],
  },
  { format: 'lz4', title: 'lz4 -l', compress: ['lz4', '-lqc'] },
  { format: 'lzo', title: 'lzop', compress: ['lzop', '-c'] },
  { format: 'lzo', title: 'lzop, CRC-32', compress: ['lzop', '-c', '--crc32'] },
  { format: 'lzo', title: 'lzop without sums', compress: ['lzop', '-cF'] },
];

const DECOMPRESS: Readonly<Record<WholeCodec, readonly [string, ...string[]]>> = {
  xz: ['xz', '-dc'],
  zstd: ['zstd', '-dqc'],
  lz4: ['lz4', '-dqc'],
  lzo: ['lzop', '-dc'],
  gzip: ['gzip', '-dc'],
  pigz: ['gzip', '-dc'],
  bzip2: ['bzip2', '-dc'],
};

const compress = ([program, ...args]: readonly [string, ...string[]], plain: Buffer): Promise<Buffer> =>
  output(program, args, plain);

for (const { format, title, compress: words } of PEERS) {
  test(`${title}: served as the vendor made it, edited, read by the format's program`, async (t) => {
    const file = await compress(words, PLAIN);
    const blobs = new MemoryBlobs();
    const counts = zeroCounts();
    const read = await readArchive(inChunks(file, [100_003]), blobs, counts);
    t.deepEqual(fileOf(read, blobs), file);
    t.deepEqual(decodeDescriptor(encodeDescriptor(read)), read);
    t.is(partsOf(read, await loadEntries(read, blobs))[0]!.codec, format);
    const tools = { blobs, writer: blobs, counts, mtime: EDIT_TIME, earlier: [] };
    const edits = [put('/etc/new', 'new\n'), remove('/etc/motd')];
    const edited = await spliceArchive(read, edits, tools);
    t.deepEqual(
      counts.wholes.map(({ codec }) => codec),
      [format],
    );
    const result = fileOf(edited, blobs);
    const plain = await compress(DECOMPRESS[format], result);
    t.deepEqual((await cpioNames(plain)).sort(), ['etc', 'etc/new', 'noise', 'text']);
    t.true(
      Buffer.from(parseArchive(plain).items.find(({ name }) => name === 'noise')!.data).equals(
        noise(400_000),
      ),
    );
    const again = await spliceArchive(read, edits, { ...tools, earlier: [edited] });
    t.deepEqual(fileOf(again, blobs), result);
    t.is(counts.wholes.length, 1, 'what was compressed before is not compressed again');
    const fresh = new MemoryBlobs();
    const other = await spliceArchive(await readArchive(inChunks(file, [7777]), fresh, zeroCounts()), edits, {
      ...tools,
      blobs: fresh,
      writer: fresh,
    });
    t.true(fileOf(other, fresh).equals(result), 'the same bytes every time');
  });

  test(`${title}: the outline ends where the stream does, whatever follows`, async (t) => {
    const small = PLAIN.subarray(0, 400_000);
    const file = await compress(words, small);
    // A legacy lz4 frame has no end of its own: the kernel, too, takes the header of gzip for one more block.
    const followers = [Buffer.alloc(0), Buffer.alloc(512), Buffer.from('070701')];
    if (format !== 'lz4') followers.push(zlib.gzipSync('x'));
    const streams = title.includes(' of two ') ? 2 : 1;
    for (const after of followers) {
      const reader = new ChunkReader(inChunks(Buffer.concat([file, after]), [4099, 1, 65_536]));
      for (let stream = 0; stream < streams; stream++) await collect(streamBytes(format, reader));
      t.is(reader.position, file.length);
      t.deepEqual(await reader.take(after.length), after);
    }
  });

  test(`${title}: cut short or damaged, it is refused with the place`, async (t) => {
    const file = await compress(words, PLAIN.subarray(0, 300_000));
    for (let step = 1; step < 12; step++) {
      const cut = file.subarray(0, Math.floor((file.length * step) / 12));
      const error = await t.throwsAsync(readArchive(inChunks(cut, [5000]), new MemoryBlobs(), zeroCounts()), {
        instanceOf: ImageError,
      });
      t.regex(error.message, /offset \d+/, error.code);
    }
    const damaged = Buffer.from(file);
    damaged[file.length >> 1]! ^= 0x55;
    const error = await t.throwsAsync(
      readArchive(inChunks(damaged, [5000]), new MemoryBlobs(), zeroCounts()),
      { instanceOf: ImageError },
    );
    t.regex(error.message, /offset \d+/, error.code);
  });
}

test('a check that the kernel does not know is said, and gone after the first edit', async (t) => {
  const notes: string[] = [];
  const blobs = new MemoryBlobs();
  const read = await readArchive(
    inChunks(await compress(['xz', '-c'], PLAIN), [9999]),
    blobs,
    zeroCounts(),
    DEFAULT_LIMITS,
    (line) => notes.push(line),
  );
  t.regex(notes.join('\n'), /other than CRC-32, which the kernel does not unpack/);
  const edited = await spliceArchive(read, [put('/x', 'x')], {
    blobs,
    writer: blobs,
    counts: zeroCounts(),
    mtime: EDIT_TIME,
    earlier: [],
  });
  t.is(fileOf(edited, blobs)[7], 1, 'CRC-32 in the stream flags');
});

test('an lz4 frame that is not the legacy one is refused with the mend', async (t) => {
  const file = await compress(['lz4', '-qc'], PLAIN);
  await t.throwsAsync(readArchive(inChunks(file, [9999]), new MemoryBlobs(), zeroCounts()), {
    code: 'UNKNOWN_CODEC',
    message: /lz4 -l/,
  });
});

for (const codec of Object.keys(DECOMPRESS) as WholeCodec[]) {
  test(`${codec}: compresses to the same bytes every time, and its program reads them`, async (t) => {
    const once = await collect(compressWhole(codec, inChunks(PLAIN, [65_536])));
    const twice = await collect(compressWhole(codec, inChunks(PLAIN, [1_000_000])));
    t.true(once.equals(twice));
    t.true((await compress(DECOMPRESS[codec], once)).equals(PLAIN));
  });
}

test('early microcode and a main archive: each is edited by itself', async (t) => {
  const early = archiveBytes([
    item({ name: 'kernel/x86/microcode/GenuineIntel.bin', ino: 9, data: noise(5000) }),
  ]);
  const main = await compress(['zstd', '-qc'], PLAIN);
  const file = Buffer.concat([early, main]);
  const blobs = new MemoryBlobs();
  const counts = zeroCounts();
  const read = await readArchive(inChunks(file, [50_000]), blobs, counts);
  t.deepEqual(blobs.materialise(archiveMap(read)), file);
  t.deepEqual(
    partsOf(read, await loadEntries(read, blobs)).map(({ part, codec, entries, plain }) => [
      part,
      codec,
      entries,
      plain,
    ]),
    [
      [1, 'none', 1, early.length],
      [2, 'zstd', 4, PLAIN.length],
    ],
  );
  const tools = { blobs, writer: blobs, counts, mtime: EDIT_TIME, earlier: [] };
  const first = fileOf(await spliceArchive(read, [{ ...put('/kernel/new', 'x'), part: 1 }], tools), blobs);
  t.deepEqual(counts.wholes, []);
  t.true(first.subarray(first.length - main.length).equals(main));
  t.deepEqual(await cpioNames(first), ['kernel/x86/microcode/GenuineIntel.bin', 'kernel', 'kernel/new']);
  const second = fileOf(await spliceArchive(read, [{ ...remove('/noise'), part: 2 }], tools), blobs);
  t.true(second.subarray(0, early.length).equals(early));
  t.deepEqual(await cpioNames(await compress(['zstd', '-dqc'], second.subarray(early.length))), [
    'etc',
    'etc/motd',
    'text',
  ]);
  await t.throwsAsync(spliceArchive(read, [{ ...remove('/noise'), part: 1 }], tools), {
    code: 'NO_SUCH_ENTRY',
  });
  await t.throwsAsync(spliceArchive(read, [{ ...put('/a', 'b'), part: 3 }], tools), { code: 'NO_SUCH_PART' });
  const both = await spliceArchive(
    read,
    [{ ...put('/kernel/new', 'x'), part: 1 }, put('/etc/new', 'y'), { ...remove('/kernel/new'), part: 1 }],
    tools,
  );
  t.deepEqual(
    (await loadEntries(both, blobs)).map(({ archive, path }) => `${archive} ${path}`),
    [
      '0 kernel/x86/microcode/GenuineIntel.bin',
      '0 kernel',
      '1 etc',
      '1 etc/motd',
      '1 noise',
      '1 text',
      '1 etc/new',
    ],
  );
});
