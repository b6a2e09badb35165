import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { loadEntries, type PlacedEntry } from '../../src/image/archive-index.js';
import { collect } from '../../src/image/chunks.js';
import { pathToText } from '../../src/image/cpio/path.js';
import { kernelView } from '../../src/image/kernel-view.js';
import { openDescriptor } from '../../src/osimage/contents.js';
import { imageSite } from '../cli/image-site.js';
import { MemoryBlobs } from './memory-blobs.js';
import { archiveBytes, item, type Item } from './newc.js';
import { overwritingItems } from './overwriting-items.js';
import { put, read, remove, splice } from './splicing.js';

const [DIR, LINK, CHAR] = [0o040755, 0o120777, 0o020600];

interface Seen {
  readonly mode: string;
  readonly owner: string;
  readonly text: string;
}

/** What is seen at each path. */
async function seenIn(
  items: readonly Item[],
  edits: Parameters<typeof splice>[1] = [],
): Promise<Record<string, Seen>> {
  const blobs = new MemoryBlobs();
  const base = await read(archiveBytes(items), blobs);
  const archive = await openDescriptor(edits.length === 0 ? base : await splice(base, edits, blobs), blobs);
  const seen: Record<string, Seen> = {};
  for (const entry of archive.entries) {
    const { mode, uid, gid } = entry.header;
    const isFile = (mode & 0o170000) === 0o100000;
    const text = isFile ? (await collect(archive.read(entry))).toString() : (entry.target ?? '');
    seen[pathToText(entry.path)] = { mode: mode.toString(8), owner: `${uid}:${gid}`, text };
  }
  return seen;
}

// As Debian's kernel unpacked them: test/boot/overwrites.test.ts boots it with these entries.
const FOUND: Readonly<Record<string, Partial<Seen> | undefined>> = {
  '/over/plain/a': { mode: '100600', owner: '7:0', text: 'second, longer' },
  '/over/through/a': { mode: '100755', owner: '3:4', text: 'written through' },
  '/over/through/b': { mode: '100755', owner: '3:4', text: 'written through' },
  '/over/emptied/a': { text: '' },
  '/over/emptied/b': { text: '' },
  '/over/joined/a': { text: 'of all three' },
  '/over/joined/b': { text: 'of all three' },
  '/over/joined/c': { text: 'of all three' },
  '/over/moved/a': { text: 'linked' },
  '/over/moved/b': { text: 'linked' },
  '/over/itself/a': undefined,
  '/over/itself/b': { text: 'stays' },
  '/over/full/file': { mode: '40700' },
  '/over/full/link': { mode: '40755', owner: '5:6' },
  '/over/full/pipe': { mode: '40644', owner: '8:0' },
  '/over/empty/file': { text: 'written' },
  '/over/empty/link': { text: 'elsewhere' },
  '/over/made/file': { mode: '40750' },
  '/over/made/link': { mode: '40755' },
  '/over/made/again': { mode: '41777', owner: '9:0' },
  '/over/device/same': { mode: '20666', owner: '0:5' },
  '/over/device/file': { mode: '100644', text: 'written' },
  '/over/linked/a': { text: 'second', owner: '2:0' },
  '/over/linked/b': { text: 'c' },
  '/over/linked/c': { text: 'stays' },
  '/over/holder/a': { text: 'held' },
  '/over/holder/b': { mode: '40755' },
};

test('entries of one path come to what the kernel makes of them', async (t) => {
  const seen = await seenIn(overwritingItems);
  for (const [path, expected] of Object.entries(FOUND)) {
    if (expected === undefined) t.is(seen[path], undefined, path);
    else t.like(seen[path], expected, path);
  }
  t.is(Object.keys(seen).length, new Set(overwritingItems.map(({ name }) => name)).size - 1);
});

test('an edit of one name leaves the others with what was written through it', async (t) => {
  const seen = await seenIn(overwritingItems, [put('/over/through/a', 'edited'), remove('/over/joined/a')]);
  t.is(seen['/over/through/a']?.text, 'edited');
  t.is(seen['/over/through/b']?.text, 'written through');
  t.deepEqual(
    ['b', 'c'].map((name) => seen[`/over/joined/${name}`]?.text),
    ['of all three', 'of all three'],
  );
});

test('unpacked and packed again, such an image is as it was, with nothing said twice', async (t) => {
  const { work, rackboot } = await imageSite(t, overwritingItems);
  const root = join(work, 'root');
  const ok = async (...words: string[]): Promise<string> => {
    const { status, out, err } = await rackboot('image', ...words);
    t.is(status, 0, err);
    return out;
  };
  t.is(await ok('cat', 'x', '/over/through/b'), 'written through');
  await ok('unpack', 'x', root);
  await ok('pack', 'x', root);
  t.is(await ok('cat', 'x', '/over/through/b'), 'written through');
  const diff = JSON.parse(await ok('--json', 'diff', 'x', '--with', root)) as { paths: readonly unknown[] };
  t.deepEqual(diff.paths, []);
});

const anyItem = fc
  .record({
    name: fc.constantFrom('d', 'd/a', 'd/b', 'd/c'),
    mode: fc.constantFrom(0o100644, 0o100644, 0o100755, DIR, LINK, CHAR),
    ino: fc.integer({ min: 1, max: 3 }),
    nlink: fc.constantFrom(1, 2),
    data: fc.constantFrom('', 'one', 'another'),
  })
  .map(({ data, ...fields }) =>
    item({
      ...fields,
      data: Buffer.from([DIR, CHAR].includes(fields.mode) ? '' : fields.mode === LINK ? 'x' : data),
    }),
  );

test('whatever follows whatever: each path once, and a second look sees the same', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyItem, { minLength: 1, maxLength: 12 }), async (items) => {
      const blobs = new MemoryBlobs();
      const entries = await loadEntries(await read(archiveBytes(items), blobs), blobs);
      const view = kernelView(entries);
      const standing: readonly PlacedEntry[] = view?.entries ?? entries;
      t.is(new Set(standing.map(({ path }) => path)).size, standing.length);
      t.is(kernelView(standing), undefined);
      for (const { path, others } of view?.written ?? [])
        t.true([path, ...others].every((each) => standing.some((entry) => entry.path === each)));
    }),
    { numRuns: 300 },
  );
});
