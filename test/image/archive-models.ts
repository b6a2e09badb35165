import fc from 'fast-check';
import type { ArchivePath } from '../../src/image/cpio/path.js';
import { contentOf, type Edit } from '../../src/image/edit.js';
import { type FileTree, Refusal } from './file-tree.js';
import { item, type Item } from './newc.js';

export const DIR = 0o040000;
export const FILE = 0o100000;
export const LINK = 0o120000;
/** The time of what edits put. */
export const EDIT_TIME = 1_700_000_000;

const MIB = 1024 * 1024;

/** Sizes of files: mostly small, sometimes around the marks where the engine cuts. */
export const size: fc.Arbitrary<number> = fc.oneof(
  { weight: 14, arbitrary: fc.nat(300) },
  { weight: 5, arbitrary: fc.nat(20_000) },
  { weight: 3, arbitrary: fc.integer({ min: 100_000, max: 700_000 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(MIB - 200, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 3, 3 * MIB - 1),
  },
);

/** Names of one component, latin-1: some are not UTF-8, some look like options or hold a newline. */
const name: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z]{1,3}$/) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '\xff\xfe',
      '\xc3\xbc',
      'a b',
      '-x',
      'n\nl',
      '...',
      'TRAILER',
      'x'.repeat(120),
      '\xe9*?[]',
    ),
  },
);

const permissions = fc.constantFrom(0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1777, 0o6711);
const owner = fc.constantFrom(0, 0, 0, 1, 1000, 65534);

/** `length` bytes that repeat every 251, different for each seed; so that large files do not cost the tests their time. */
export function filling(length: number, seed: number): Buffer {
  const period = Buffer.from(
    Array.from({ length: 251 }, (_, i) => (Math.imul(i + 1, seed * 2 + 7) >>> 3) & 0xff),
  );
  return Buffer.alloc(length, period);
}

const step = fc.record({
  kind: fc.constantFrom(
    ...([
      'dir',
      'dir',
      'file',
      'file',
      'file',
      'file',
      'link',
      'dirlink',
      'hard',
      'device',
      'again',
    ] as const),
  ),
  where: fc.nat(1000),
  name,
  size,
  seed: fc.nat(200),
  permissions,
  uid: owner,
  gid: owner,
  mtime: fc.integer({ min: 0, max: 1_600_000_000 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const DEVICES = [
  { mode: 0o020000, rdev: [1, 3] },
  { mode: 0o060000, rdev: [7, 200] },
  { mode: 0o010000, rdev: [0, 0] },
  { mode: 0o140000, rdev: [0, 0] },
] as const;

/** The items of an archive as GNU cpio writes them, without the trailer: every one in a directory that comes before it. */
export const archive: fc.Arbitrary<Item[]> = fc
  .record({
    steps: fc.array(step, { maxLength: 40 }),
    dotted: fc.boolean(),
    lastInode: fc.constantFrom(1000, 1000, 0xffff_ffff),
  })
  .map(({ steps, dotted, lastInode }) => itemsOf(steps, dotted, lastInode));

function itemsOf(steps: readonly Step[], dotted: boolean, lastInode: number): Item[] {
  const items: Item[] = [];
  const directories = [''];
  const taken = new Set(['']);
  const plainFiles: number[] = []; // places of files that have one link
  const waiting: Item[] = []; // the last members of hard-link groups, which carry the data
  let ino = 10;
  const raw = (path: string): string => (dotted ? `./${path}` : path);
  if (dotted) items.push(item({ name: '.', mode: DIR | 0o755, nlink: 2, ino: lastInode }));
  for (const one of steps) {
    const parent = directories[one.where % directories.length]!;
    const free = (label: string): string => {
      let path = parent === '' ? label : `${parent}/${label}`;
      while (taken.has(path)) path += '~';
      taken.add(path);
      return path;
    };
    const common = {
      ino: one.seed === 0 && !items.some((other) => other.ino === lastInode) ? lastInode : ino++,
      uid: one.uid,
      gid: one.gid,
      mtime: one.mtime,
      dev: [0, 8] as const,
    };
    const data = filling(one.size, one.seed);
    switch (one.kind) {
      case 'dir': {
        const path = free(one.name);
        directories.push(path);
        items.push(item({ ...common, name: raw(path), mode: DIR | one.permissions, nlink: 2 }));
        break;
      }
      case 'file':
        plainFiles.push(items.length);
        items.push(item({ ...common, name: raw(free(one.name)), mode: FILE | one.permissions, data }));
        break;
      case 'link':
      case 'dirlink': {
        const goal = directories[one.seed % directories.length]!;
        const target = one.kind === 'dirlink' && goal !== '' ? `/${goal}` : `missing${one.seed % 3}`;
        items.push(
          item({
            ...common,
            name: raw(free(one.name)),
            mode: LINK | 0o777,
            data: Buffer.from(target, 'latin1'),
          }),
        );
        break;
      }
      case 'hard': {
        const nlink = 2 + (one.seed % 3);
        const mode = FILE | one.permissions;
        for (let n = 1; n < nlink; n++)
          items.push(item({ ...common, name: raw(free(`${one.name}${n}`)), mode, nlink }));
        waiting.push(item({ ...common, name: raw(free(`${one.name}0`)), mode, nlink, data }));
        if (one.seed % 2 === 0) items.push(...waiting.splice(0, 1));
        break;
      }
      case 'device': {
        const { mode, rdev } = DEVICES[one.seed % DEVICES.length]!;
        items.push(
          item({ ...common, name: raw(free(one.name)), mode: mode | (one.permissions & 0o777), rdev }),
        );
        break;
      }
      case 'again': {
        const place = plainFiles[one.where % Math.max(1, plainFiles.length)];
        if (place === undefined) break;
        items.push({ ...items[place]!, ...common, mode: FILE | one.permissions, data });
        break;
      }
    }
  }
  return [...items, ...waiting];
}

const change = fc.record({
  op: fc.constantFrom(
    ...([
      'file',
      'file',
      'file',
      'replace',
      'replace',
      'link',
      'dirlink',
      'dir',
      'device',
      'delete',
      'delete',
      'chmod',
    ] as const),
  ),
  where: fc.nat(1000),
  below: fc.constantFrom('', '', 'new', 'new/er'),
  name,
  size,
  seed: fc.nat(200),
  permissions,
  uid: owner,
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** Wishes for edits; what they mean depends on the archive: see editsOf. */
export const changes: fc.Arbitrary<Change[]> = fc.array(change, { minLength: 1, maxLength: 12 });

/** The edits that `wishes` mean in `tree`, those that a file system would refuse left out; the tree is changed by them. */
export async function editsOf(wishes: readonly Change[], tree: FileTree): Promise<Edit[]> {
  const edits: Edit[] = [];
  for (const wish of wishes) {
    const edit = editOf(wish, tree);
    const before = tree.clone();
    try {
      await tree.apply(edit, EDIT_TIME);
      edits.push(edit);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      assertSame(before, tree);
    }
  }
  return edits;
}

function assertSame(before: FileTree, after: FileTree): void {
  if (before.files.size !== after.files.size) throw new Error('a refused edit changed the tree of the test');
}

/** The edit that a wish means in `tree`, whether or not it is possible. */
export function editOf(wish: Change, tree: FileTree): Edit {
  const paths = tree.paths;
  const existing = paths[wish.where % Math.max(1, paths.length)] ?? 'nothing';
  // Directories, links that may lead to some, and now and then something that nothing can lie below.
  const holds = (path: string): boolean => [DIR, LINK].includes(tree.files.get(path)!.mode & 0o170000);
  const holders = ['', ...paths.filter((path) => holds(path) || wish.seed % 10 === 0)];
  const holder = holders[wish.where % holders.length]!;
  const fresh = [holder, wish.below, wish.name].filter((part) => part !== '').join('/');
  const at = (path: string): { path: ArchivePath; from: string } => ({
    path: path as ArchivePath,
    from: 'test',
  });
  const put = (path: string, mode: number, data: Buffer): Edit => ({
    op: 'put',
    ...at(path),
    mode,
    uid: wish.uid,
    gid: 0,
    content: contentOf(data),
    ...((mode & 0o170000) === LINK ? { target: data.toString('latin1') } : {}),
  });
  const data = filling(wish.size, wish.seed);
  switch (wish.op) {
    case 'file':
      return put(fresh, FILE | wish.permissions, data);
    case 'replace':
      return put(existing, FILE | wish.permissions, data);
    case 'link':
      return put(wish.seed % 2 === 0 ? existing : fresh, LINK | 0o777, Buffer.from('missing'));
    case 'dirlink':
      return put(fresh, LINK | 0o777, Buffer.from(`/${holder}`, 'latin1'));
    case 'dir':
      return put(wish.seed % 4 === 0 ? existing : fresh, DIR | 0o755, Buffer.alloc(0));
    case 'device':
      return {
        op: 'put',
        ...at(fresh),
        mode: 0o020000 | 0o600,
        uid: 0,
        gid: wish.uid,
        rdev: { major: 5, minor: 1 },
        content: contentOf(Buffer.alloc(0)),
      };
    case 'delete':
      return { op: 'delete', ...at(wish.seed % 8 === 0 ? fresh : existing), required: false };
    case 'chmod':
      return { op: 'chmod', ...at(existing), mode: wish.permissions };
  }
}
