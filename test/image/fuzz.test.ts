import zlib from 'node:zlib';
import test from 'ava';
import { blocksOf } from '../../src/image/bzip2/segment.js';
import { ChunkReader, collect } from '../../src/image/chunks.js';
import { linesOf } from '../../src/image/comments.js';
import { CpioConverter } from '../../src/image/cpio/converter.js';
import { OLD_LAYOUTS, oldFormatOf } from '../../src/image/cpio/old-header.js';
import { pathFromBytes } from '../../src/image/cpio/path.js';
import { CpioScanner } from '../../src/image/cpio/scanner.js';
import { kernelRelease } from '../../src/image/drivers/kernel-release.js';
import { kernelOf } from '../../src/image/drivers/modinfo.js';
import { ImageError } from '../../src/image/errors.js';
import { readExlist } from '../../src/image/exlist.js';
import { findPattern } from '../../src/image/find-pattern.js';
import { inflateMember, takeHeader } from '../../src/image/gzip/member.js';
import { initrdRoom } from '../../src/image/kernel-room.js';
import { parseMtree } from '../../src/image/mtree.js';
import { readThrough } from '../../src/image/nested/read-through.js';
import { entriesOf } from '../../src/image/squashfs/contents.js';
import { decodeSuperblock, lostOptions, tar2sqfsOptions } from '../../src/image/squashfs/superblock.js';
import { withPermissions } from '../../src/image/tar/attributes.js';
import { BLOCK, encodeTarHeader } from '../../src/image/tar/header.js';
import { decodePax, encodePax } from '../../src/image/tar/pax.js';
import { TarScanner } from '../../src/image/tar/scanner.js';
import { decodeRecord, encodeRecord } from '../../src/image/unpacked/record.js';
import { DEFAULT_LIMITS } from '../../src/image/unpack-limits.js';
import { streamBytes, WHOLE_FORMATS } from '../../src/image/whole/framing.js';
import { withoutTime } from '../../src/image/whole/lzop-header.js';
import { compileModule } from './drivers/fixtures.js';
import { damaged, FUZZ_RUNS, FUZZ_SEED, randomNumbers } from './fuzzing.js';
import { kernelHead } from './kernel-head.js';
import { inChunks } from './memory-blobs.js';
import { archiveBytes, item } from './newc.js';
import { inDirectory, output } from './programs.js';

/** A decoder, and whole inputs that it reads. It throws ImageError alone, whatever it is given. */
interface Fuzzed {
  readonly name: string;
  readonly samples: () => Promise<readonly Buffer[]>;
  readonly decode: (bytes: Buffer) => unknown;
}

const ignore = { onEntry: () => undefined, onTrailer: () => undefined };
const ITEMS = [
  item({ name: 'd', mode: 0o040755, nlink: 2, ino: 1 }),
  item({ name: 'd/file', ino: 2, data: Buffer.from('some bytes') }),
  item({ name: 'd/link', mode: 0o120777, ino: 3, data: Buffer.from('file') }),
  item({ name: 'h1', nlink: 2, ino: 4 }),
  item({ name: 'h2', nlink: 2, ino: 4, data: Buffer.from('shared') }),
  item({ name: 'null', mode: 0o020666, rdev: [1, 3], ino: 5 }),
];
const PLAIN = archiveBytes(ITEMS, 4);
const END = Buffer.alloc(2 * BLOCK);
const SUMMED = archiveBytes(
  ITEMS.map((one) => ({
    ...one,
    magic: '070702' as const,
    check: (one.mode & 0o170000) === 0o100000 ? one.data.reduce((sum, byte) => sum + byte, 0) : 0,
  })),
  4,
);

function scanCpio(bytes: Buffer): void {
  const scanner = new CpioScanner(0, ignore);
  for (let at = 0; at < bytes.length; at += 100) scanner.push(bytes.subarray(at, at + 100));
  scanner.finish();
}

function convert(bytes: Buffer): void {
  const format = oldFormatOf(bytes);
  if (format === undefined) return;
  const converter = new CpioConverter(format, 0);
  const scanner = new CpioScanner(0, ignore);
  for (let at = 0; at < bytes.length; at += 60)
    for (const newc of converter.push(bytes.subarray(at, at + 60)).newc) scanner.push(newc);
  converter.finish();
}

/** An old binary archive with its headers in the other byte order. */
function bigEndian(archive: Buffer): Buffer {
  const swapped = Buffer.from(archive);
  for (let at = 0; archive.readUInt16LE(at) === 0o070707;) {
    const name = archive.readUInt16LE(at + 20);
    const size = archive.readUInt16LE(at + 22) * 65536 + archive.readUInt16LE(at + 24);
    swapped.subarray(at, at + 26).swap16();
    at += 26 + name + (name % 2) + size + (size % 2);
  }
  return swapped;
}

function scanTar(bytes: Buffer): void {
  const scanner = new TarScanner(0, ignore);
  for (let at = 0; at < bytes.length; at += 700) scanner.push(bytes.subarray(at, at + 700));
  scanner.finish();
}

/** Archives of a small tree by every program with every one of `options`. */
const archivesBy = (
  program: readonly string[],
  options: readonly (readonly string[])[],
): Promise<readonly Buffer[]> =>
  inDirectory(async (dir) => {
    const script = [
      'mkdir -p d/deep/er && echo text > d/file && ln d/file d/hard && ln -s file d/link && mkfifo d/pipe',
      'truncate -s 9000 d/sparse && printf x | dd of=d/sparse bs=1 seek=5000 conv=notrunc status=none',
      'echo long > d/$(printf "n%.0s" $(seq 150))',
    ];
    await output('sh', ['-ec', script.join('\n')], undefined, dir);
    const made: Buffer[] = [];
    for (const option of options)
      made.push(await output('sh', ['-ec', [...program, ...option].join(' ')], undefined, dir));
    return made;
  });

const compressedBy = (...commands: readonly string[]): Promise<readonly Buffer[]> =>
  Promise.all(commands.map((command) => output('sh', ['-c', command], PLAIN)));

const drain = async (source: AsyncIterable<Buffer>): Promise<void> => {
  let size = 0;
  for await (const chunk of source) size += chunk.length;
  if (size > 2 ** 30) throw new Error('endless');
};

const text = (...samples: readonly string[]): (() => Promise<readonly Buffer[]>) => {
  return () => Promise.resolve(samples.map((sample) => Buffer.from(sample, 'latin1')));
};

const ORIGIN = { osimage: 'x', generation: 'g', archive: 'a', part: 1, owners: 'record' } as const;
const EVERY_KIND = '/set type=file uid=0 gid=0\n./a mode=0755 time=5.0\n./b\\040c type=link link=a\n';

const DECODERS: readonly Fuzzed[] = [
  { name: 'newc', samples: () => Promise.resolve([PLAIN, SUMMED]), decode: scanCpio },
  {
    name: 'odc and old binary',
    samples: () =>
      archivesBy(['find . | cpio -o --quiet -H'], [['odc'], ['bin']]).then((made) => [
        ...made,
        bigEndian(made[1]!),
      ]),
    decode: convert,
  },
  {
    name: 'tar',
    samples: () =>
      archivesBy(
        ['tar -cf -'],
        [
          ['--format=ustar', 'd/file', 'd/hard', 'd/link', 'd/pipe', 'd/deep'],
          ['--format=gnu --sparse --hole-detection=raw .'],
          ...['0.0', '0.1', '1.0'].map((version) => [
            `--format=pax --sparse --hole-detection=raw --sparse-version=${version} .`,
          ]),
        ],
      ),
    decode: scanTar,
  },
  {
    name: 'one tar entry of each kind', // small, so that damage hits what matters
    samples: () =>
      Promise.resolve(
        ['0', '1', '2', '3', '5', 'S', 'L', 'x', 'g'].map((type) => {
          const records: [string, string][] =
            type === 'g'
              ? [['comment', 'text']]
              : [
                  ['path', 'name'],
                  ['size', '9'],
                  ['GNU.sparse.size', '20'],
                  ['GNU.sparse.map', '5,9'],
                ];
          const pax = encodePax(new Map(records));
          const data = /[xgL]/.test(type) ? pax : Buffer.alloc(type === '0' ? 9 : 0, 'data');
          const fields = { name: 'n', mode: 0o644, uid: 1, gid: 2, mtime: 3, linkName: 'f' };
          const rest = { devMajor: 1, devMinor: 2, uname: 'u', gname: 'g' };
          const block = (one: string, size: number, name = 'n'): Buffer =>
            encodeTarHeader({ ...fields, ...rest, name, type: one, size });
          const padding = Buffer.alloc(data.length === 0 ? 0 : BLOCK - data.length);
          const parts = [block(type, data.length), data, padding, block('0', 0), END, END];
          return Buffer.concat(type === '1' ? [block('0', 0, 'f'), ...parts] : parts);
        }),
      ),
    decode(bytes) {
      const sealed = Buffer.from(bytes); // with a checksum that holds, or nothing behind it is looked at
      if (sealed.length >= BLOCK) {
        sealed.fill(0x20, 148, 156);
        const sum = sealed.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0);
        sealed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      }
      scanTar(sealed);
    },
  },
  {
    name: 'extended tar headers and ACLs',
    samples: () =>
      Promise.resolve([
        encodePax(
          new Map([
            ['path', 'a/name'],
            ['SCHILY.acl.access', 'user::rw-,mask::r--,other::---'],
          ]),
        ),
        encodePax(
          new Map([['SCHILY.xattr.system.posix_acl_access', '\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff']]),
        ),
      ]),
    decode: (bytes) => withPermissions(decodePax(bytes, 0), 0o640),
  },
  {
    name: 'gzip',
    samples: () => compressedBy('gzip -cn', 'gzip -c', 'pigz -c', 'cat | gzip -1 -c'),
    async decode(bytes) {
      const reader = new ChunkReader(inChunks(bytes, [200]));
      await takeHeader(reader);
      await drain(inflateMember(reader));
    },
  },
  {
    name: 'gzip that holds an archive',
    samples: () => Promise.resolve([zlib.gzipSync(PLAIN), zlib.gzipSync(SUMMED), PLAIN]),
    decode: (bytes) => drain(readThrough(inChunks(bytes, [5000]), DEFAULT_LIMITS, () => undefined)),
  },
  { name: 'bzip2', samples: () => compressedBy('bzip2 -c', 'bzip2 -1 -c'), decode: blocksOf },
  ...WHOLE_FORMATS.map((format): Fuzzed => ({
    name: format,
    samples: () =>
      compressedBy(
        ...{
          xz: ['xz -c', 'xz -c --check=crc32 --block-size=300', 'xz -c --x86 --lzma2'],
          zstd: ['zstd -cq', 'zstd -cq --no-check', 'zstd -cq -19'],
          lz4: ['lz4 -lcq'],
          lzo: ['lzop -cq', 'lzop -cq -9'],
        }[format],
      ),
    decode: (bytes) => drain(streamBytes(format, new ChunkReader(inChunks(bytes, [333])))),
  })),
  {
    name: 'lzop’s header',
    samples: () => compressedBy('lzop -cq'),
    decode: (bytes) => drain(withoutTime(inChunks(bytes, [10]))),
  },
  {
    name: 'squashfs superblock',
    samples: () =>
      archivesBy(
        ['mksquashfs d made -quiet -no-progress -noappend'],
        ['gzip', 'xz', 'zstd'].map((comp) => [
          `-comp ${comp}`,
          comp === 'gzip' ? '-Xwindow-size 12' : '',
          '>&2 && head -c 200 made',
        ]),
      ),
    decode(bytes) {
      const superblock = decodeSuperblock(bytes);
      lostOptions(superblock);
      tar2sqfsOptions(superblock);
    },
  },
  {
    name: 'what unsquashfs lists',
    samples: text(
      'drwxr-xr-x 0/0 30 2020-01-01 00:00 .\n-rwsr-xr-t 0/7 5 2020-01-01 00:00 ./a b\nlrwxrwxrwx 0/0 1 2020-01-01 00:00 ./l -> a\ncrw-r--r-- 0/0 1, 3 2020-01-01 00:00 ./null\n',
    ),
    decode: (bytes) => entriesOf(bytes.toString('latin1')),
  },
  {
    name: 'mtree',
    samples: text(
      `#mtree\n${EVERY_KIND}`,
      'x type=dir mode=755 uname=root gname=root\n  y type=char device=native,1,3 \\\n  inode=5\n..\n/unset all\n',
    ),
    decode: (bytes) => parseMtree(bytes.toString('latin1'), 'x.mtree'),
  },
  {
    name: 'the record of an unpacking',
    samples: text(encodeRecord(ORIGIN, new Map()) + EVERY_KIND),
    decode: (bytes) => decodeRecord(bytes.toString('latin1'), 'x.mtree'),
  },
  {
    name: 'exlist and its patterns',
    samples: text('./usr/share/man*\n-./boot/*\n+./boot/[a-z]*\n# comment\n#INCLUDE:other#\n./a\\*[!x-z]?\n'),
    async decode(bytes) {
      const read = (file: string): Promise<string> =>
        Promise.resolve(file === '/l/exlist' ? bytes.toString('latin1') : './other\n');
      const { exclude, include } = await readExlist('/l/exlist', { read, onIdle: () => undefined });
      for (const pattern of [...exclude, ...include]) findPattern(pattern)('./usr/share/man/man1/x.1.gz');
    },
  },
  {
    name: 'paths as people write them',
    samples: text('/etc/hello', 'a\\x2fb\\\\c', './usr//lib/'),
    decode: (bytes) => linesOf(bytes.toString('latin1')).map(pathFromBytes),
  },
  {
    name: 'kernel modules',
    samples: async () => [await compileModule({ bits: 64 }), await compileModule({ bits: 32 })],
    decode: kernelOf,
  },
  {
    name: 'kernels',
    samples: () => Promise.resolve([kernelHead({}), kernelHead({ version: 0x206 })]),
    decode: (bytes) => [kernelRelease(bytes), initrdRoom(bytes)],
  },
];

for (const [number, { name, samples, decode }] of DECODERS.entries()) {
  test.serial(`${FUZZ_RUNS} damaged inputs are read or refused: ${name}`, async (t) => {
    t.timeout(12 * 60 * 60 * 1000);
    const whole = await samples();
    for (const sample of whole) await decode(sample); // that is read as it is
    const outcomes = new Map<string, number>();
    const next = randomNumbers(1 + number + 1000 * FUZZ_SEED);
    for (let run = 0; run < FUZZ_RUNS; run++) {
      const bytes = damaged(whole, next);
      let outcome = 'read';
      try {
        await decode(bytes);
      } catch (error) {
        if (!(error instanceof ImageError)) {
          t.log(`run ${run}: ${bytes.toString('base64').slice(0, 4000)}`);
          throw error;
        }
        if (error.message.includes('\n')) t.fail(`run ${run}: ${JSON.stringify(error.message)}`);
        outcome = error.code;
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    t.log(JSON.stringify(Object.fromEntries([...outcomes].sort())));
    t.true((outcomes.get('read') ?? 0) > 0 || outcomes.size > 1, 'damage makes a difference');
  });
}

test('the same seed damages in the same way', (t) => {
  const make = (): string[] => {
    const next = randomNumbers(7);
    return Array.from({ length: 50 }, () => damaged([PLAIN], next).toString('base64'));
  };
  t.deepEqual(make(), make());
  t.true(new Set(make()).size > 40);
});

test('every format that is known is damaged', async (t) => {
  const made = await DECODERS.find(({ name }) => name === 'odc and old binary')!.samples();
  t.deepEqual(new Set(made.map((one) => oldFormatOf(one))), new Set(Object.keys(OLD_LAYOUTS)));
  t.true((await collect(inChunks(PLAIN, [7]))).equals(PLAIN));
});
