import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import test from 'ava';
import { run } from '../../src/cli/program.js';
import type { PlacedEntry } from '../../src/image/archive-index.js';
import { decodeDescriptor } from '../../src/image/archive.js';
import { collect } from '../../src/image/chunks.js';
import { isRegular } from '../../src/image/cpio/header.js';
import { pathToText } from '../../src/image/cpio/path.js';
import { mainArchive } from '../../src/osimage/main-archive.js';
import { openArchive, type OpenArchive } from '../../src/osimage/contents.js';
import { findGeneration } from '../../src/osimage/find.js';
import { manifestOf } from '../../src/osimage/manifest.js';
import { openSite } from '../../src/site/site.js';
import { readBlob } from '../../src/store/extents.js';
import type { Store } from '../../src/store/records.js';
import { openStore } from '../../src/store/store.js';
import { item, itemBytes } from '../image/newc.js';

/** What one change may recompress, whatever the image's size: plain bytes. */
const MOST = 3 * 1024 * 1024;
const MIB = 1024 * 1024;
const DEBIAN = '/usr/lib/debian-installer/images/12/amd64';

/** An osimage as it was imported, and what is in it. */
interface Subject {
  readonly rackboot: (...words: string[]) => Promise<string>;
  readonly json: (...words: string[]) => Promise<Record<string, unknown>>;
  readonly first: string; // the imported generation
  readonly plain: number; // bytes of the archive before compression
  readonly files: readonly PlacedEntry[]; // regular files that hold something, in archive order
  readonly read: (entry: PlacedEntry) => Promise<Buffer>;
  readonly segmentSizes: (entries: readonly PlacedEntry[]) => number; // plain bytes of the segments that hold them
  readonly local: string; // an empty directory
}

/** Imports `source` into a new site and hands it to `body`. */
async function withSubject(source: string, body: (subject: Subject) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(path.join(tmpdir(), 'rackboot-cost-'));
  let store: Store | undefined;
  try {
    const site = path.join(parent, 'site');
    const local = path.join(parent, 'local');
    await mkdir(local);
    const rackboot = (...words: string[]): Promise<string> => runCommand(['--site', site, ...words]);
    const json = async (...words: string[]): Promise<Record<string, unknown>> =>
      JSON.parse(await rackboot('--json', ...words)) as Record<string, unknown>;
    await rackboot('init');
    const { generation } = await json('image', 'import', source, '--name', 'it');
    store = await openStore(await openSite(site));
    const manifest = manifestOf(await findGeneration(store, 'it'));
    const main = mainArchive(manifest);
    const archive: OpenArchive = await openArchive(store, manifest, main);
    const { frames } = decodeDescriptor(await readBlob(store.blobs, manifest.archives[main]!));
    await body({
      rackboot,
      json,
      first: generation as string,
      plain: frames.flatMap(({ segments }) => segments).reduce((sum, { plain }) => sum + plain, 0),
      files: archive.entries.filter(({ header }) => isRegular(header.mode) && header.size > 0),
      read: (entry) => collect(archive.read(entry)),
      segmentSizes: (entries) =>
        [...new Set(entries.map(({ frame, segment }) => frames[frame]!.segments[segment]!))].reduce(
          (sum, { plain }) => sum + plain,
          0,
        ),
      local,
    });
  } finally {
    await store?.close();
    await rm(parent, { recursive: true, force: true });
  }
}

async function runCommand(words: readonly string[]): Promise<string> {
  const written = { out: '', err: '' };
  const into = (name: 'out' | 'err'): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        written[name] += chunk.toString();
        done();
      },
    });
  const status = await run(words, { stdout: into('out'), stderr: into('err') });
  if (status !== 0) throw new Error(`${words.join(' ')}: ${written.err}`);
  return written.out;
}

interface Change {
  readonly title: string;
  readonly words: readonly string[]; // after `rackboot image`
  readonly most?: number; // when not MOST
}

/** The changes to try: every kind of edit, at every kind of place. */
async function changesOf(subject: Subject): Promise<Change[]> {
  const { files, local, read } = subject;
  const middle = Math.floor(files.length / 2);
  const biggest = files.reduce((a, b) => (b.header.size > a.header.size ? b : a));
  const places = [
    ['the first file', files[0]!],
    ['the middle file', files[middle]!],
    ['the last file', files.at(-1)!],
    ['the biggest file', biggest],
  ] as const;
  const at = (entry: PlacedEntry): string => pathToText(entry.path);
  const put = async (data: Buffer, entry: PlacedEntry): Promise<string[]> => {
    const file = path.join(local, `${(await readdir(local)).length}`);
    await writeFile(file, data);
    return ['put', 'it', `${file}:${at(entry)}`];
  };
  const withByte = (data: Buffer, offset: number): Buffer => {
    const changed = Buffer.from(data);
    changed[offset] = changed[offset]! ^ 0xff;
    return changed;
  };
  const changes: Change[] = [];
  for (const [title, entry] of places) {
    const data = await read(entry);
    for (const [where, offset] of [
      ['first', 0],
      ['middle', data.length >> 1],
      ['last', data.length - 1],
    ] as const) {
      changes.push({
        title: `the ${where} byte of ${title} changes`,
        words: await put(withByte(data, offset), entry),
      });
    }
    changes.push(
      { title: `${title} grows by a byte`, words: await put(Buffer.concat([data, Buffer.of(1)]), entry) },
      {
        title: `${title} gets a byte before its first`,
        words: await put(Buffer.concat([Buffer.of(1), data]), entry),
      },
      { title: `${title} becomes empty`, words: await put(Buffer.alloc(0), entry) },
      { title: `${title} is deleted`, words: ['delete', 'it', at(entry)] },
      { title: `the permissions of ${title} change`, words: ['chmod', 'it', '0700', at(entry)] },
    );
  }
  const one = path.join(local, 'one');
  await writeFile(one, 'hello\n');
  changes.push({ title: 'a file is added', words: ['put', 'it', `${one}:/etc/rackboot/new/hello`] });
  const ten = Array.from({ length: 10 }, (_, n) => `${one}:/opt/new-${n}/file`);
  changes.push({ title: 'ten files are added', words: ['put', 'it', ...ten] });
  const small = files.filter(({ header }) => header.size < 10_000);
  const neighbours = small.slice(small.length >> 1).slice(0, 10);
  changes.push({ title: 'ten neighbours are deleted', words: ['delete', 'it', ...neighbours.map(at)] });
  const single = files.filter(({ header }) => header.nlink === 1);
  const spread = Array.from({ length: 10 }, (_, n) => single[Math.floor((n * single.length) / 10)]!);
  changes.push({
    title: 'ten files all over the image are deleted',
    words: ['delete', 'it', ...spread.map(at)],
    most: subject.segmentSizes(spread) + 4096,
  });
  return changes;
}

for (const kind of ['text', 'gtk']) {
  test.serial(`a change of Debian’s ${kind} installer costs what the change costs`, async (t) => {
    await withSubject(path.join(DEBIAN, kind), async (subject) => {
      t.true(subject.plain > 100 * MIB, 'the installer is large enough to tell');
      await tryEach(t.log, t.true, subject, await changesOf(subject));
    });
  });
}

test.serial('a change of an archive of 300 MB with a file of 200 MB costs no more', async (t) => {
  const source = await mkdtemp(path.join(tmpdir(), 'rackboot-cost-source-'));
  try {
    await writeFile(path.join(source, 'vmlinuz'), 'a kernel');
    await pipeline(
      Readable.from(largeArchive()),
      zlib.createGzip({ level: 1 }),
      createWriteStream(path.join(source, 'initrd.gz')),
    );
    await withSubject(source, async (subject) => {
      t.true(subject.plain > 300e6);
      const linked = subject.files.find(({ rawName }) => rawName === 'linked/c')!;
      const data = await subject.read(linked);
      const file = path.join(subject.local, 'linked');
      await writeFile(file, Buffer.concat([Buffer.of(7), data.subarray(1)]));
      await tryEach(t.log, t.true, subject, [
        ...(await changesOf(subject)),
        { title: 'the link that carries the data is deleted', words: ['delete', 'it', '/linked/c'] },
        { title: 'a link without data is deleted', words: ['delete', 'it', '/linked/a'] },
        { title: 'all links but one are deleted', words: ['delete', 'it', '/linked/b', '/linked/c'] },
        { title: 'a linked file gets other permissions', words: ['chmod', 'it', '0600', '/linked/b'] },
        {
          title: 'a link leaves its group with the data changed',
          words: ['put', 'it', `${file}:/linked/c`],
        },
      ]);
    });
  } finally {
    await rm(source, { recursive: true });
  }
});

/** Makes every change to the imported generation, and asserts what the program says that it recompressed. */
async function tryEach(
  log: (line: string) => void,
  assertTrue: (value: boolean, message: string) => boolean,
  { rackboot, json, first }: Subject,
  changes: readonly Change[],
): Promise<void> {
  const figures: string[] = [];
  for (const { title, words, most = MOST } of changes) {
    const cost = Number((await json('image', ...words))['compressedBytes']);
    figures.push(`${title}: ${cost}`);
    assertTrue(cost >= 0 && cost < most, `${title}: ${cost} bytes, ${most} allowed`);
    await rackboot('image', 'rollback', 'it', first);
  }
  log(figures.join('\n'));
}

/** 300 MB: five thousand files of all sizes up to 200 kB, one of 200 MB among them, and one of 5 MB under three names. */
function* largeArchive(): Generator<Buffer> {
  let ino = 100;
  const file = (name: string, data: Buffer, nlink = 1, number = ino++): Buffer =>
    itemBytes(item({ name, data, nlink, ino: number, mtime: 1_600_000_000 }));
  yield itemBytes(item({ name: 'linked', mode: 0o040755, ino: 1, nlink: 2 }));
  for (let n = 0; n < 5000; n++) {
    if (n === 2000) yield file('big', lines('big', 200_000_000));
    if (n === 3000) {
      for (const name of ['a', 'b']) yield file(`linked/${name}`, Buffer.alloc(0), 3, 50);
      yield file('linked/c', lines('linked', 5_000_000), 3, 50);
    }
    yield file(`file-${n}`, lines(`${n}`, (n * 7919) % 40_000));
  }
  yield itemBytes(item({ name: 'TRAILER!!!', mode: 0 }));
}

/** `size` bytes in numbered lines: no two runs of them are alike. */
function lines(title: string, size: number): Buffer {
  const bytes = Buffer.alloc(size, '.');
  for (let at = 0; at < size; at += 512) bytes.write(`\n${title} ${at}`, at, 'latin1');
  return bytes;
}
