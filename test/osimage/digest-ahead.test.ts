import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { digestAhead } from '../../src/osimage/digest-ahead.js';
import type { Digest } from '../../src/store/digest.js';
import { partLength, type ExtentMap, type Part } from '../../src/store/extents.js';
import type { BlobPlace, BlobReader } from '../../src/store/types.js';

const SIZE = 9 << 20;
const COUNT = 8;

/** Blobs of SIZE bytes, all in one file, as a store has them in a pack. */
async function makeBlobs(): Promise<{ directory: string; bytes: Buffer; blobs: BlobReader; parts: Part[] }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'rackboot-ahead-'));
  const bytes = Buffer.alloc(SIZE * COUNT);
  for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at, at);
  const file = path.join(directory, 'pack');
  await writeFile(file, bytes);
  const places = new Map<Digest, BlobPlace>();
  const parts: Part[] = [];
  for (let n = 0; n < COUNT; n++) {
    const blob = n.toString(16).padStart(64, '0') as Digest;
    places.set(blob, { path: file, offset: n * SIZE, size: SIZE });
    parts.push({ kind: 'blob', blob, offset: 0, length: SIZE });
  }
  const blobs: BlobReader = {
    locate: (wanted) =>
      Promise.resolve(
        new Map([...wanted].flatMap((blob) => (places.has(blob) ? [[blob, places.get(blob)!]] : []))),
      ),
    readFile() {
      throw new Error('the thread reads the files itself');
    },
  };
  return { directory, bytes, blobs, parts };
}

const mapOf = (parts: readonly Part[]): ExtentMap => ({
  size: parts.reduce((sum, part) => sum + partLength(part), 0),
  parts,
});

test('the digest of what an artifact becomes, wherever it changes', async (t) => {
  const { directory, bytes, blobs, parts } = await makeBlobs();
  const literal: Part = { kind: 'inline', bytes: Buffer.from('changed') };
  const first = parts[0]!;
  const slice: Part = { ...(first as Extract<Part, { kind: 'blob' }>), offset: 5, length: 7 };
  const plain = (list: readonly Part[]): Buffer =>
    Buffer.concat(
      list.map((part) =>
        part.kind === 'blob'
          ? bytes.subarray(
              Number.parseInt(part.blob, 16) * SIZE + part.offset,
              Number.parseInt(part.blob, 16) * SIZE + part.offset + part.length,
            )
          : part.kind === 'inline'
            ? part.bytes
            : Buffer.alloc(part.length),
      ),
    );
  const cases: Readonly<Record<string, readonly Part[]>> = {
    'nothing changes': parts,
    'the first part': [literal, ...parts.slice(1)],
    'one in the middle': [...parts.slice(0, 4), literal, slice, ...parts.slice(5)],
    'the last': [...parts.slice(0, -1), literal],
    'more at the end': [...parts, { kind: 'zero', length: 3 }, literal],
    'less at the end': parts.slice(0, 3),
    'nothing is left': [],
  };
  try {
    for (const [name, now] of Object.entries(cases)) {
      for (const wait of [0, 150]) {
        const ahead = await digestAhead(mapOf(parts), blobs);
        await new Promise((resolve) => setTimeout(resolve, wait));
        const digest = await ahead?.of(mapOf(now));
        await ahead?.stop();
        t.is(
          digest,
          createHash('sha256').update(plain(now)).digest('hex') as Digest,
          `${name}, ${wait} ms later`,
        );
      }
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a small artifact is not worth a thread; a file that is gone gives no digest', async (t) => {
  const { directory, blobs, parts } = await makeBlobs();
  t.is(await digestAhead(mapOf(parts.slice(0, 2)), blobs), undefined);
  await rm(directory, { recursive: true });
  const ahead = await digestAhead(mapOf(parts), blobs);
  t.is(await ahead?.of(mapOf(parts)), undefined);
  await ahead?.stop();
});
