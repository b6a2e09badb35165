import {
  appendFile,
  chmod,
  link,
  lstat,
  lutimes,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { layerEdits } from '../../../src/image/layer.js';
import { placeEntries } from '../../../src/image/unpacked/placement.js';
import { unpackInto } from '../../../src/image/unpacked/unpack.js';
import { compareTrees } from '../../../src/osimage/compare/compare.js';
import { treeOfArchive, treeOfDirectory } from '../../../src/osimage/compare/tree.js';
import { openDescriptor } from '../../../src/osimage/contents.js';
import { fileClock, takeBaseline } from '../../../src/osimage/edit/baseline.js';
import { findDifference, isEmpty, storeDifference } from '../../../src/osimage/edit/difference.js';
import { MemoryBlobs } from '../../image/memory-blobs.js';
import { archiveBytes, item, type Item } from '../../image/newc.js';
import { output } from '../../image/programs.js';
import { read, splice } from '../../image/splicing.js';

const [DIR, LINK] = [0o040755, 0o120777];
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const privileged = owner.uid === 0;

/** Files, directories, links and three names of one file, owned so that this user may unpack them as they are. */
const IMAGE: readonly Item[] = [
  item({ name: 'a', mode: DIR, ino: 1, nlink: 2 }),
  item({ name: 'a/one', ino: 2, data: Buffer.from('one') }),
  item({ name: 'a/two', ino: 3, data: Buffer.from('two') }),
  item({ name: 'b', mode: DIR, ino: 4, nlink: 2 }),
  item({ name: 'b/x', ino: 5, nlink: 3 }),
  item({ name: 'b/y', ino: 5, nlink: 3 }),
  item({ name: 'b/z', ino: 5, nlink: 3, data: Buffer.from('three names') }),
  item({ name: 'l', mode: LINK, ino: 6, data: Buffer.from('a') }),
  item({ name: 'e', ino: 7 }),
].map((one) => ({ ...one, mtime: 1_000_000 }));

/** What somebody does to a file: most of it fails on most trees, which is no matter. */
type Act = (root: string) => Promise<unknown>;

const somewhere = fc.constantFrom(
  'a/one',
  'a/two',
  'b/x',
  'b/y',
  'b/z',
  'e',
  'a',
  'b',
  'l',
  'n',
  'a/n',
  'b/n',
  'l/n',
);
const act: fc.Arbitrary<readonly [string, Act]> = fc.oneof(
  fc
    .tuple(somewhere, fc.string({ maxLength: 6 }))
    .map(([at, text]) => [`write ${at}`, (root: string) => writeFile(join(root, at), text)] as const),
  somewhere.map((at) => [`append ${at}`, (root: string) => appendFile(join(root, at), '!')] as const),
  somewhere.map((at) => [`empty ${at}`, (root: string) => truncate(join(root, at))] as const),
  somewhere.map((at) => [`rm ${at}`, (root: string) => rm(join(root, at), { recursive: true })] as const),
  somewhere.map((at) => [`mkdir ${at}`, (root: string) => mkdir(join(root, at))] as const),
  fc
    .tuple(somewhere, somewhere)
    .map(
      ([from, to]) =>
        [`mv ${from} ${to}`, (root: string) => rename(join(root, from), join(root, to))] as const,
    ),
  fc
    .tuple(somewhere, somewhere)
    .map(
      ([from, to]) => [`ln ${from} ${to}`, (root: string) => link(join(root, from), join(root, to))] as const,
    ),
  fc
    .tuple(fc.constantFrom('a', 'b', 'nowhere', 'b/x'), somewhere)
    .map(([to, at]) => [`ln -s ${to} ${at}`, (root: string) => symlink(to, join(root, at))] as const),
  fc
    .tuple(
      somewhere.filter((at) => !at.startsWith('l')),
      fc.constantFrom(0o700, 0o644, 0o755, 0o4755, 0o600),
    )
    .map(
      ([at, mode]) =>
        [`chmod ${mode.toString(8)} ${at}`, (root: string) => chmod(join(root, at), mode)] as const,
    ),
  somewhere.map((at) => [`touch ${at}`, (root: string) => utimes(join(root, at), 5, 5)] as const),
);

/** Which paths are names of one file, as a text. */
async function linksIn(root: string): Promise<string> {
  const names = new Map<string, string[]>();
  for (const name of (await readdir(root, { recursive: true })).sort()) {
    const info = await lstat(join(root, name));
    if (info.isFile() && info.nlink > 1)
      names.set(`${info.ino}`, [...(names.get(`${info.ino}`) ?? []), name]);
  }
  return JSON.stringify([...names.values()].sort());
}

async function inScratch<T>(body: (scratch: string) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), 'rackboot-difference-'));
  try {
    return await body(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Unpacks IMAGE, does `acts` to it, applies the difference to the archive: what the archive then is unlike the directory. */
async function unlikeAfter(
  acts: readonly (readonly [string, Act])[],
): Promise<{ unlike: unknown; empty: boolean }> {
  return inScratch(async (scratch) => {
    const blobs = new MemoryBlobs();
    const items = IMAGE.map((one) => (privileged ? one : { ...one, ...owner }));
    const base = await read(archiveBytes(items), blobs);
    const opened = await openDescriptor(base, blobs);
    const placed = placeEntries(opened.entries);
    const root = join(scratch, 'root');
    await unpackInto(root, placed, { read: (entry) => opened.read(entry), privileged });
    const baseline = await takeBaseline(root, scratch);
    for (const [, run] of acts) await run(root).catch(() => undefined);
    const ended = await fileClock(scratch);
    const links = await linksIn(root);
    const tree = {
      root,
      placed,
      read: (entry: Parameters<typeof opened.read>[0]) => opened.read(entry),
      baseline,
      holdsAttributes: false,
      ended,
    };
    const difference = await findDifference(privileged ? tree : { ...tree, owner });
    const after = await splice(
      base,
      layerEdits('edit', await storeDifference(difference, blobs), blobs),
      blobs,
    );
    const result = await openDescriptor(after, blobs);
    const again = join(scratch, 'again');
    await unpackInto(again, placeEntries(result.entries), {
      read: (entry) => result.read(entry),
      privileged,
    });
    const options = { text: false, times: true };
    const unlike: unknown[] = [];
    for (const change of await compareTrees(treeOfArchive(result), await treeOfDirectory(root), options)) {
      const { mtimeNs } = await lstat(join(root, change.path), { bigint: true });
      const wasWritten = mtimeNs >= baseline.at && mtimeNs <= ended; // in the archive it has the time of new entries
      if (!wasWritten || change.what.some((one) => one !== 'time')) unlike.push(change);
    }
    return {
      unlike: [
        ...unlike,
        ...((await linksIn(again)) === links ? [] : [`links ${await linksIn(again)} for ${links}`]),
      ],
      empty: isEmpty(difference),
    };
  });
}

test('nothing done is no difference, and neither is the time of a moment ago', async (t) => {
  t.deepEqual(await unlikeAfter([]), { unlike: [], empty: true });
  const now: Act = async (root) => {
    await utimes(join(root, 'a/one'), 5, 5);
    const probe = join(root, 'probe');
    await writeFile(probe, '');
    await output('touch', ['-r', probe, join(root, 'a/one')]); // to the nanosecond, which utimes does not reach
    await rm(probe);
    await output('touch', ['-r', join(root, 'a/one'), join(root, 'a')]);
  };
  t.deepEqual(await unlikeAfter([['touch', now]]), { unlike: [], empty: true });
});

for (const [name, time] of [
  ['old', 5],
  ['before 1970', -7],
  ['in the future', 4_200_000_000],
] as const) {
  test(`a time that was set stays: ${name}`, async (t) => {
    const when = new Date(time * 1000); // a number below 0 would mean now
    const set: Act = async (root) => {
      for (const at of ['a/one', 'b/y', 'b']) await utimes(join(root, at), when, when);
      await lutimes(join(root, 'l'), when, when);
      await writeFile(join(root, 'a/new'), 'new');
      await utimes(join(root, 'a/new'), when, when);
    };
    const { unlike, empty } = await unlikeAfter([['touch', set]]);
    t.false(empty);
    if (time >= 0) t.deepEqual(unlike, []);
    else
      t.deepEqual(
        (unlike as { after: { mtime: number } }[]).map(({ after }) => after.mtime),
        Array<number>(7).fill(time),
      );
  });
}

test('the same bytes written again are no difference', async (t) => {
  const again = await unlikeAfter([
    ['write', (root) => writeFile(join(root, 'a/one'), 'one')],
    [
      'replace',
      async (root) => {
        await writeFile(join(root, 'new'), 'two', { mode: 0o644 });
        await rename(join(root, 'new'), join(root, 'a/two'));
      },
    ],
  ]);
  t.deepEqual(again, { unlike: [], empty: true });
});

test('whatever is done to an unpacked image, its difference makes the archive the same', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 8 }), async (acts) => {
      const { unlike } = await unlikeAfter(acts);
      t.deepEqual(unlike, [], acts.map(([name]) => name).join('; '));
    }),
    { numRuns: 60 },
  );
  t.pass();
});
