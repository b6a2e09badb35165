import test from 'ava';
import { loadEntries } from '../../src/image/archive-index.js';
import { pathFromText } from '../../src/image/cpio/path.js';
import type { Edit } from '../../src/image/edit.js';
import { zeroCounts } from '../../src/image/segment-writer.js';
import { spliceArchive } from '../../src/image/splice.js';
import { BLOCK, encodeTarHeader } from '../../src/image/tar/header.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item } from './newc.js';
import { fileOf, put, read } from './splicing.js';

const cpio = (times: readonly number[]): Buffer =>
  archiveBytes(times.map((mtime, at) => item({ name: `f${at}`, ino: at, mtime: mtime >>> 0 })));

const fields = { mode: 0o644, uid: 0, gid: 0, size: 0, type: '0', linkName: '' };
const rest = { devMajor: 0, devMinor: 0, uname: '', gname: '' };
const tar = (times: readonly number[]): Buffer =>
  Buffer.concat([
    ...times.map((mtime, at) => encodeTarHeader({ name: `f${at}`, mtime, ...fields, ...rest })),
    Buffer.alloc(2 * BLOCK),
  ]);

/** The time of `/new` in an archive once it was put there, as reading the archive tells it. */
async function timeOfNew(file: Buffer, edits: readonly Edit[], mtime?: number): Promise<number | undefined> {
  const blobs = new MemoryBlobs();
  const tools = { blobs, writer: blobs, counts: zeroCounts(), mtime, earlier: [] };
  const edited = await spliceArchive(await read(file, blobs), edits, tools);
  const entries = await loadEntries(edited, blobs);
  const again = await loadEntries(await read(fileOf(edited, blobs), blobs), blobs);
  const found = [entries, again].map((list) => list.find(({ path }) => path === 'new')?.header.mtime);
  return found[0] === found[1] ? found[0] : NaN;
}

const NEW = [put('/new', 'x')];

const TIMES: readonly (readonly [string, readonly number[], number])[] = [
  ['the newest of all', [1_400_000_000, 1_500_000_000, 0], 1_500_000_000],
  ['not one of the far future', [1_400_000_000, 4_000_000_000, 2 ** 31], 1_400_000_000],
  ['not one before 1970', [1_400_000_000, -5], 1_400_000_000],
  ['the last of all that count', [2 ** 31 - 1, 5], 2 ** 31 - 1],
  ['1970 where none counts', [-1, 4_294_967_295], 0],
];

for (const [title, times, expected] of TIMES) {
  test(`what is new gets the time of the newest entry: ${title}`, async (t) => {
    t.is(await timeOfNew(cpio(times), NEW), expected);
    t.is(await timeOfNew(tar([...times, 2 ** 40]), NEW), expected);
    t.is(await timeOfNew(cpio(times), NEW, 7), 7, 'SOURCE_DATE_EPOCH goes before');
  });
}

test('a time that is set is the nearest that newc holds, and any in tar', async (t) => {
  const set = (mtime: number): Edit[] => [
    ...NEW,
    { op: 'set', path: pathFromText('/new'), mtime, from: 'test' },
  ];
  const held: readonly (readonly [number, number])[] = [
    [-5, 2 ** 32 - 5],
    [-(2 ** 31), 2 ** 31],
    [-(2 ** 40), 2 ** 31],
    [2 ** 32 - 1, 2 ** 32 - 1],
    [2 ** 40, 2 ** 32 - 1],
  ];
  for (const [time, inNewc] of held) {
    t.is(await timeOfNew(cpio([5]), set(time)), inNewc);
    t.is(await timeOfNew(tar([5]), set(time)), time);
  }
});
