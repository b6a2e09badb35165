import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { decodeLongDate, decodeShortDate } from '../../../src/image/iso/dates.js';
import { decodeBootCatalog } from '../../../src/image/iso/el-torito.js';
import {
  backupGpt,
  decodeGptHeader,
  decodeGptPartitions,
  partitionArray,
} from '../../../src/image/iso/gpt.js';
import { decodeRockRidge, decodeSharingProtocol } from '../../../src/image/iso/rock-ridge.js';
import { decodeSystemArea } from '../../../src/image/iso/system-area.js';
import { composeMap, storeBytes } from '../../../src/image/iso/compose.js';
import { MappedBlobs } from './mapped-blobs.js';

const shortDates: readonly (readonly [string, number | null])[] = [
  ['7c021d0c223800', Date.UTC(2024, 1, 29, 12, 34, 56) / 1000],
  ['7c021d0c223804', Date.UTC(2024, 1, 29, 11, 34, 56) / 1000], // an hour east
  ['7c021d0c2238ec', Date.UTC(2024, 1, 29, 17, 34, 56) / 1000], // five hours west
  ['46010100000000', 0],
  ['00000000000000', null],
  ['7c0d0100000000', null], // month 13
  ['7c010118000000', null], // hour 24
];
for (const [hex, expected] of shortDates) {
  test(`7-byte date ${hex}`, (t) => t.is(decodeShortDate(Buffer.from(hex, 'hex')), expected));
}

const longDates: readonly (readonly [string, number, string | null])[] = [
  ['2024022912345678', 0, '2024-02-29T12:34:56.78Z'],
  ['2024022912345600', 4, '2024-02-29T12:34:56.00+01:00'],
  ['2024022912345600', -18, '2024-02-29T12:34:56.00-04:30'],
  ['0000000000000000', 0, null],
  ['2024 22912345600', 0, null],
];
for (const [digits, zone, expected] of longDates) {
  test(`17-byte date ${digits} ${zone}`, (t) => {
    t.is(decodeLongDate(Buffer.concat([Buffer.from(digits), Buffer.from([zone & 0xff])])), expected);
  });
}

function field(signature: string, ...body: readonly number[]): Buffer {
  return Buffer.from([...Buffer.from(signature), 4 + body.length, 1, ...body]);
}

function text(value: string): number[] {
  return [...Buffer.from(value)];
}

const noContinuation = async (): Promise<Buffer> => Promise.reject(new Error('no continuation expected'));

test('a name and a link target may be split anywhere', async (t) => {
  const area = Buffer.concat([
    field('NM', 1, ...text('long')),
    field('NM', 0, ...text('-name')),
    field('SL', 1, 8, 0, 0, 3, ...text('usr'), 1, 2, ...text('sh')),
    field('SL', 0, 0, 3, ...text('are'), 4, 0, 2, 0, 0, 1, ...text('x')),
  ]);
  const { name, target } = await decodeRockRidge(area, noContinuation);
  t.is(name?.toString(), 'long-name');
  t.is(target?.toString(), '/usr/share/.././x');
});

test('fields continue in another area, and end at ST', async (t) => {
  const number = (value: number): number[] => [...Buffer.from(new Uint32Array([value]).buffer), 0, 0, 0, 0];
  const area = Buffer.concat([
    field('CE', ...number(7), ...number(100), ...number(9)),
    field('ST'),
    field('NM', 0, 65),
  ]);
  const asked: number[][] = [];
  const { name } = await decodeRockRidge(area, async (...place) => {
    asked.push(place);
    return Promise.resolve(field('NM', 0, ...text('then')));
  });
  t.deepEqual(asked, [[7, 100, 9]]);
  t.is(name?.toString(), 'then');
});

test('SUSP is told by SP with its check bytes, also behind a CD-ROM XA field', (t) => {
  const sharing = field('SP', 0xbe, 0xef, 3);
  t.is(decodeSharingProtocol(sharing), 3);
  t.is(decodeSharingProtocol(Buffer.concat([Buffer.alloc(14), sharing])), 3);
  t.is(decodeSharingProtocol(field('SP', 0xbe, 0xee, 3)), null);
  t.is(decodeSharingProtocol(Buffer.alloc(0)), null);
});

test('a boot catalog with sections and selection criteria', (t) => {
  const catalog = Buffer.alloc(2048);
  catalog.writeUInt8(1, 0);
  catalog.writeUInt16BE(0x55aa, 30);
  catalog.writeUInt16LE(0x10000 - 1 - 0xaa55, 28);
  catalog.set([0x88, 0, 0, 0, 0, 0, 4, 0, 20], 32);
  catalog.set([0x90, 0xef, 1, 0], 64);
  catalog.set([0x88, 0x20, 0, 0, 0, 0, 0xd0, 7, 30], 96);
  catalog.writeUInt8(0x44, 128);
  catalog.set([0x91, 0x05, 1, 0], 160);
  catalog.set([0x00, 4, 0xc0, 7, 0, 0, 1, 0, 40], 192);
  t.deepEqual(
    decodeBootCatalog(catalog).map((image): unknown[] => Object.values(image)),
    [
      ['bios', 0, true, 'none', 0, 4, 20],
      ['uefi', 0xef, true, 'none', 0, 2000, 30],
      ['other', 5, false, 'hard disk', 0x7c0, 1, 40],
    ],
  );
});

test('a GPT and its backup agree, and a wrong checksum is no GPT', (t) => {
  const area = Buffer.alloc(32768);
  const array = Buffer.alloc(4 * 128, 0);
  array.fill(0x11, 0, 16);
  array.writeBigUInt64LE(64n, 32);
  array.writeBigUInt64LE(99n, 40);
  array.write('ISOHybrid', 56, 'utf16le');
  array.copy(area, 1024);
  area.write('EFI PART', 512, 'latin1');
  area.writeUInt32LE(0x10000, 512 + 8);
  area.writeUInt32LE(92, 512 + 12);
  area.writeBigUInt64LE(1n, 512 + 24);
  area.writeBigUInt64LE(999n, 512 + 32);
  area.writeBigUInt64LE(2n, 512 + 72);
  area.writeUInt32LE(4, 512 + 80);
  area.writeUInt32LE(128, 512 + 84);
  area.writeUInt32LE(crc32(array), 512 + 88);
  area.writeUInt32LE(crc32(area.subarray(512, 512 + 92)), 512 + 16);
  const header = decodeGptHeader(area.subarray(512, 1024))!;
  t.deepEqual(partitionArray(header, area), array);
  t.deepEqual(
    decodeSystemArea(area).gpt?.partitions.map(({ name, firstSector, lastSector }) => [
      name,
      firstSector,
      lastSector,
    ]),
    [['ISOHybrid', 64, 99]],
  );
  const backup = backupGpt(header, array);
  t.is(backup.length, 2 * 512);
  const other = decodeGptHeader(backup.subarray(512))!;
  t.deepEqual([other.ownSector, other.otherSector, other.entriesSector], [999, 1, 998]);
  const disk = Buffer.alloc(1000 * 512);
  backup.copy(disk, 998 * 512);
  t.deepEqual(decodeGptPartitions(other, disk), decodeGptPartitions(header, area));
  area.writeUInt8(1, 512 + 60);
  t.is(decodeGptHeader(area.subarray(512, 1024)), undefined);
});

test('stored bytes read as they were, and zeros are not stored', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(9000), fc.nat(255)), { maxLength: 12 }), async (runs) => {
      const bytes = Buffer.concat(runs.map(([length, value]) => Buffer.alloc(length, value % 3)));
      const blobs = new MappedBlobs();
      const map = await storeBytes(bytes, blobs);
      t.is(map.size, bytes.length);
      t.true(blobs.read(map, 0, map.size).equals(bytes));
    }),
    { seed: 20240229, numRuns: 300 },
  );
  const blobs = new MappedBlobs();
  const zeros = await storeBytes(Buffer.alloc(1 << 20), blobs);
  t.deepEqual(zeros.parts, [{ kind: 'zero', length: 1 << 20 }]);
  t.is(blobs.held.size, 0);
});

test('files that overlap, or reach beyond the end, are not composed', (t) => {
  const map = { size: 10, parts: [{ kind: 'zero', length: 10 }] } as const;
  t.is(
    composeMap(20, [
      { path: 'b', offset: 10, map },
      { path: 'a', offset: 0, map },
    ]).size,
    20,
  );
  t.throws(
    () =>
      composeMap(20, [
        { path: 'a', offset: 0, map },
        { path: 'b', offset: 9, map },
      ]),
    {
      code: 'TOOL_FAILED',
      message: /put b at byte 9/,
    },
  );
  t.throws(() => composeMap(19, [{ path: 'b', offset: 10, map }]), { code: 'TOOL_FAILED' });
});
