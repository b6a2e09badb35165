import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { zeroCounts } from '../../src/image/segment-writer.js';
import { readArchive } from '../../src/image/read-archive.js';
import { BLOCK, encodeTarHeader } from '../../src/image/tar/header.js';
import { DEFAULT_LIMITS } from '../../src/image/unpack-limits.js';
import type { Digest } from '../../src/store/digest.js';
import type { BlobWriter } from '../../src/store/types.js';
import { archiveBytes, item, itemBytes } from './newc.js';

/** How many entries are streamed: more with RACKBOOT_ENTRIES, 10,000,000 of which take some minutes. */
const ENTRIES = Number(process.env['RACKBOOT_ENTRIES'] ?? 1_000_000);
const LIMITS = { ...DEFAULT_LIMITS, maxRatio: Infinity, maxEntries: ENTRIES };
const AT_ONCE = 5000;

/** A writer that forgets what it is given: the archive alone can take memory. */
const forgetful = (): BlobWriter => {
  let number = 0;
  const next = async (): Promise<Digest> => (number++).toString(16).padStart(64, '0') as Digest;
  return {
    put: next,
    async putStream(source) {
      let size = 0;
      for await (const chunk of source) size += chunk.length;
      return { digest: await next(), size };
    },
    seal: () => Promise.resolve(),
  };
};

/** `count` entries with names of their own, and what ends the archive; `onPart` hears how many were given. */
async function* stream(
  count: number,
  entry: (name: string, number: number) => Buffer,
  end: Buffer,
  onPart: (given: number) => void = () => undefined,
): AsyncGenerator<Buffer> {
  for (let given = 0; given < count; given += AT_ONCE) {
    onPart(given);
    const numbers = Array.from({ length: Math.min(AT_ONCE, count - given) }, (_, at) => given + at);
    yield Buffer.concat(numbers.map((number) => entry(`some/directory/file-${number}`, number)));
  }
  yield end;
}

const cpioEntry = (name: string, number: number): Buffer => itemBytes(item({ name, ino: number }));
const tarEntry = (name: string): Buffer =>
  encodeTarHeader({
    ...{ name, mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, type: '0', linkName: '' },
    ...{ devMajor: 0, devMinor: 0, uname: '', gname: '' },
  });

test('entries are streamed: a million of them take no more memory than a hundred thousand', async (t) => {
  t.timeout(30 * 60 * 1000);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const live: number[] = []; // bytes, at each tenth
  const measure = (given: number): void => {
    if (given % (ENTRIES / 10) !== 0) return;
    collect();
    const { heapUsed, external } = process.memoryUsage();
    live.push(heapUsed + external);
  };
  const source = stream(ENTRIES, cpioEntry, archiveBytes([]), measure);
  const { frames } = await readArchive(source, forgetful(), zeroCounts(), LIMITS);
  const plain = frames[0]!.segments.reduce((sum, segment) => sum + segment.plain, 0);
  t.true(plain > ENTRIES * 110);
  const growth = Math.max(...live.slice(2)) - live[1]!;
  t.log(
    `${ENTRIES} entries, ${plain} bytes: ${Math.round(growth / 1024)} KiB more at the end than at a tenth`,
  );
  t.true(growth < 32 * 1024 * 1024, `grew by ${growth} bytes`);
});

test('more entries than the limit are refused, in cpio and in tar, before they take memory', async (t) => {
  const limits = { ...DEFAULT_LIMITS, maxEntries: 20_000 };
  for (const [entry, end] of [
    [cpioEntry, archiveBytes([])],
    [tarEntry, Buffer.alloc(2 * BLOCK)],
  ] as const) {
    const read = (count: number): Promise<unknown> =>
      readArchive(stream(count, entry, end), forgetful(), zeroCounts(), limits);
    await t.notThrowsAsync(read(20_000));
    const error = await t.throwsAsync(read(20_001));
    t.regex(error?.message ?? '', /holds more than 20000 entries, at offset \d+; .* with --max-entries$/);
  }
});
