import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { archiveMap, decodeDescriptor } from '../../src/image/archive.js';
import { collect } from '../../src/image/chunks.js';
import { pathToText, type ArchivePath } from '../../src/image/cpio/path.js';
import { contentOf, type Edit } from '../../src/image/edit.js';
import { ImageError } from '../../src/image/errors.js';
import { adHocEdits } from '../../src/osimage/ad-hoc.js';
import { buildGeneration } from '../../src/osimage/build.js';
import { changePaths, putFiles, relayeredInputs } from '../../src/osimage/changes.js';
import { OsimageError } from '../../src/osimage/errors.js';
import { importOsimage } from '../../src/osimage/import.js';
import { manifestOf } from '../../src/osimage/manifest.js';
import { findGeneration } from '../../src/osimage/find.js';
import { openSite } from '../../src/site/site.js';
import { readBlob, readRange } from '../../src/store/extents.js';
import type { Store } from '../../src/store/records.js';
import { openStore } from '../../src/store/store.js';
import { runCommand } from '../cli/in-process.js';
import { archive, DIR, FILE, filling, LINK } from '../image/archive-models.js';
import { describeTree, FileTree, Refusal } from '../image/file-tree.js';
import { archiveBytes, parseArchive } from '../image/newc.js';
import { output } from '../image/programs.js';
import { rewriteArchive } from '../image/reference-editor.js';

interface Codec {
  readonly name: string;
  readonly wrap: (plain: Buffer) => Buffer | Promise<Buffer>;
  readonly unwrap: (file: Buffer) => Buffer | Promise<Buffer>;
}

const CODECS: readonly Codec[] = [
  { name: 'plain', wrap: (plain) => plain, unwrap: (file) => file },
  {
    name: 'gzip',
    wrap: (plain) => zlib.gzipSync(plain, { level: 1 }),
    unwrap: (file) => zlib.gunzipSync(file),
  },
  {
    name: 'bzip2',
    wrap: (plain) => output('bzip2', ['-c'], plain),
    unwrap: (file) => output('bzip2', ['-dc'], file),
  },
];

const step = fc.record({
  op: fc.constantFrom(...(['put', 'put', 'put', 'delete', 'chmod', 'build', 'build', 'unlayered'] as const)),
  where: fc.nat(1000),
  fresh: fc.boolean(),
  name: fc.constantFrom('new', 'a b', '\xfc', 'deep/er/new', 'n\nl'),
  size: fc.oneof(fc.nat(500), fc.constantFrom(100_000, 1_100_000)),
  seed: fc.nat(200),
  mode: fc.constantFrom(0o644, 0o4755, 0o600),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const OCTETS = { uid: 0, gid: 0, from: 'test' } as const;

/** An edit that puts what an overlay or a local file is. */
const putEdit = (at: string, mode: number, data: Buffer): Edit => ({
  ...{ op: 'put', path: at as ArchivePath, mode, content: contentOf(data), ...OCTETS },
  ...((mode & 0o170000) === LINK ? { target: data.toString('latin1') } : {}),
});

/** Writes a layer of one file, one link and some removals; gives back what it should do to an image. */
async function writeLayer(
  dir: string,
  tree: FileTree,
  { where, name, seed, size, mode }: Step,
): Promise<Edit[]> {
  await rm(dir, { recursive: true, force: true });
  const paths = tree.paths;
  const removals = paths.filter((_path, at) => (at + where) % 7 === 0).slice(0, 3);
  const holder = paths.filter((one) => tree.isDirectory(one) && one !== '')[where % 5] ?? 'layered';
  const files = new Map<string, { readonly mode: number; readonly data: Buffer }>([
    [`${holder}/${name}`, { mode: FILE | mode, data: filling(size, seed) }],
    [`${holder}-link`, { mode: LINK | 0o777, data: Buffer.from(`/${holder}`, 'latin1') }],
  ]);
  for (const file of [...files.keys()]) {
    const parts = file.split('/');
    for (let depth = 1; depth < parts.length; depth++)
      files.set(parts.slice(0, depth).join('/'), { mode: DIR | 0o755, data: Buffer.alloc(0) });
  }
  const overlay = path.join(dir, 'overlay');
  await mkdir(overlay, { recursive: true });
  const onDisk = (file: string): Buffer =>
    Buffer.concat([Buffer.from(`${overlay}/`), Buffer.from(file, 'latin1')]);
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [file, { mode: full, data }] of sorted) {
    const kind = full & 0o170000;
    if (kind === DIR) await mkdir(onDisk(file));
    else if (kind === LINK) await symlink(data, onDisk(file));
    else await writeFile(onDisk(file), data);
    if (kind !== LINK) await chmod(onDisk(file), full & 0o7777);
  }
  const lines = removals.map((one) => `${pathToText(one as ArchivePath)}\n`);
  await writeFile(path.join(dir, 'removals'), lines.join(''));
  return [
    ...removals.map((one): Edit => ({
      op: 'delete',
      path: one as ArchivePath,
      required: false,
      from: 'test',
    })),
    ...sorted.map(([file, { mode: full, data }]) => putEdit(file, full, data)),
  ];
}

/** An osimage under test, and what was asked of it. */
interface Subject {
  readonly store: Store;
  readonly work: string;
  readonly plain: Buffer;
  readonly archive: string;
  layered: readonly Edit[];
  adHoc: readonly Edit[];
}

/** What `edits` make of the archive once it is unpacked; undefined when a file system would refuse one. */
async function treeAfter(
  subject: Subject,
  layered: readonly Edit[],
  adHoc: readonly Edit[],
): Promise<FileTree | undefined> {
  const tree = FileTree.unpack(parseArchive(subject.plain).items);
  try {
    for (const edit of [...layered, ...adHoc]) await tree.apply(edit, newest(subject));
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
  return tree;
}

const newest = ({ plain }: Subject): number =>
  Math.max(0, ...parseArchive(plain).items.map(({ mtime }) => mtime));

/** Does a step to the osimage and to what is expected of it; says whether it was possible. */
async function take(subject: Subject, one: Step): Promise<boolean> {
  const { store, work, archive: name } = subject;
  const now = await treeAfter(subject, subject.layered, subject.adHoc);
  if (now === undefined) throw new Error('the steps so far are impossible');
  const place = { archive: name };
  const existing = (now.paths[one.where % Math.max(1, now.paths.length)] ?? 'nothing') as ArchivePath;
  const layer = path.join(work, 'layer');
  let { layered, adHoc } = subject;
  let change: Parameters<typeof buildGeneration>[1]['change'];
  if (one.op === 'put') {
    const local = path.join(work, 'local');
    const data = filling(one.size, one.seed);
    await writeFile(local, data);
    const below = now.paths[one.where % Math.max(1, now.paths.length)] ?? '';
    const at = (
      one.fresh ? [below, one.name].filter((part) => part !== '').join('/') : existing
    ) as ArchivePath;
    adHoc = [...adHoc, putEdit(at, FILE | one.mode, data)];
    change = async (current, writer) => ({
      ...current.manifest.inputs,
      edits: await putFiles(current, place, [{ local, path: at }], { mode: one.mode }, writer),
    });
  } else if (one.op === 'delete' || one.op === 'chmod') {
    const change1 =
      one.op === 'delete' ? ({ op: 'delete' } as const) : { op: 'chmod' as const, mode: one.mode };
    const edit: Edit =
      one.op === 'delete'
        ? { op: 'delete', path: existing, required: false, from: 'test' }
        : { op: 'chmod', path: existing, mode: one.mode, from: 'test' };
    adHoc = [...adHoc, edit];
    change = async (current) => ({
      ...current.manifest.inputs,
      edits: await changePaths(store, current, place, [existing], change1),
    });
  } else {
    layered = one.op === 'build' ? await writeLayer(layer, now, one) : [];
    const how = { searchDirs: [], settings: {}, discardEdits: false };
    change = (current, writer) =>
      relayeredInputs(
        current.manifest.inputs,
        { ...how, layerSpec: one.op === 'build' ? layer : '' },
        writer,
        () => undefined,
      );
  }
  const possible = (await treeAfter(subject, layered, adHoc)) !== undefined;
  try {
    await buildGeneration(store, { osimage: 'x', note: one.op, change });
  } catch (error) {
    if (!(error instanceof ImageError || error instanceof OsimageError)) throw error;
    if (possible) throw error;
    return false;
  }
  if (!possible) throw new Error(`${one.op} was done though a file system would refuse it`);
  Object.assign(subject, { layered, adHoc });
  return true;
}

async function servedBy({ store, archive: name }: Subject): Promise<Buffer> {
  const manifest = manifestOf(await findGeneration(store, 'x'));
  const descriptor = decodeDescriptor(await readBlob(store.blobs, manifest.archives[name]!));
  const map = archiveMap(descriptor);
  return collect(readRange(map, store.blobs, 0, map.size));
}

async function withSubject(
  file: Buffer,
  plain: Buffer,
  body: (subject: Subject) => Promise<void>,
): Promise<void> {
  const work = await mkdtemp(path.join(tmpdir(), 'rackboot-sequence-'));
  try {
    const site = path.join(work, 'site');
    const made = await runCommand(['--site', site, 'init']);
    if (made.status !== 0) throw new Error(made.err);
    await writeFile(path.join(work, 'x.img'), file);
    const store = await openStore(await openSite(site));
    try {
      await importOsimage(store, { source: path.join(work, 'x.img'), name: 'x' });
      await body({ store, work, plain, archive: 'x.img', layered: [], adHoc: [] });
    } finally {
      await store.close();
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

for (const { name, wrap, unwrap } of CODECS) {
  test(`${name}: any sequence of put, delete, chmod and build does what it does to an unpacked tree, and gives what a full rewrite gives`, async (t) => {
    let [done, refused] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        archive.filter((items) => items.length > 0),
        fc.array(step, { minLength: 1, maxLength: 6 }),
        async (items, steps) => {
          const plain = archiveBytes(items);
          await withSubject(await wrap(plain), plain, async (subject) => {
            for (const one of steps) {
              if (await take(subject, one)) done++;
              else refused++;
              const got = await unwrap(await servedBy(subject));
              const { inputs } = manifestOf(await findGeneration(subject.store, 'x'));
              const edits = await adHocEdits(inputs.edits, subject.archive, subject.store.blobs);
              const expected = await rewriteArchive(plain, [...subject.layered, ...edits], newest(subject));
              t.true(got.equals(expected), 'byte for byte');
              const tree = await treeAfter(subject, subject.layered, subject.adHoc);
              t.deepEqual(describeTree(FileTree.unpack(parseArchive(got).items)), describeTree(tree!));
            }
          });
        },
      ),
      { numRuns: 12, seed: 20 },
    );
    t.log(`${done} steps done, ${refused} refused`);
    t.true(done > 20 && refused > 0);
  });
}
