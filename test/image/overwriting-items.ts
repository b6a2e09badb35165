import { item, type Item } from './newc.js';

const [DIR, LINK, CHAR, FIFO] = [0o040755, 0o120777, 0o020600, 0o010644];
const file = (name: string, data: string, more: Partial<Item> = {}): Item =>
  item({ name, data: Buffer.from(data), ...more });
const dir = (name: string, more: Partial<Item> = {}): Item => item({ name, mode: DIR, nlink: 2, ...more });
const link = (name: string, target: string, more: Partial<Item> = {}): Item =>
  item({ name, mode: LINK, data: Buffer.from(target), ...more });

/** Entries that come twice with unlike kinds, links or devices, each case in a directory of its own below `over`. */
export const overwritingItems: readonly Item[] = [
  dir('over'),
  // A file, and the same path again: the latest.
  ...[
    dir('over/plain'),
    file('over/plain/a', 'first'),
    file('over/plain/a', 'second, longer', { uid: 7, mode: 0o100600 }),
  ],
  // A file with two names, then one of them again: written through to the other.
  dir('over/through'),
  file('over/through/a', '', { ino: 501, nlink: 2 }),
  file('over/through/b', 'of both', { ino: 501, nlink: 2 }),
  file('over/through/a', 'written through', { uid: 3, gid: 4, mode: 0o100755 }),
  // The same, emptied.
  dir('over/emptied'),
  file('over/emptied/a', '', { ino: 502, nlink: 2 }),
  file('over/emptied/b', 'of both', { ino: 502, nlink: 2 }),
  file('over/emptied/b', ''),
  // The same, by a file that has names of its own.
  dir('over/joined'),
  file('over/joined/a', '', { ino: 503, nlink: 2 }),
  file('over/joined/b', 'of both', { ino: 503, nlink: 2 }),
  file('over/joined/a', '', { ino: 504, nlink: 2 }),
  file('over/joined/c', 'of all three', { ino: 504, nlink: 2 }),
  // A name that is linked elsewhere later: no longer the first file's.
  dir('over/moved'),
  file('over/moved/a', 'kept', { ino: 505 }),
  file('over/moved/b', '', { ino: 506, nlink: 2 }),
  file('over/moved/a', 'linked', { ino: 506, nlink: 2 }),
  // Another name of itself: the file is unlinked before it could be linked.
  dir('over/itself'),
  file('over/itself/a', 'lost', { ino: 507, nlink: 2 }),
  file('over/itself/a', 'lost too', { ino: 507, nlink: 2 }),
  file('over/itself/b', 'stays'),
  // Over a directory with something in it, and over an empty one.
  dir('over/full'),
  dir('over/full/file', { mode: 0o040700 }),
  file('over/full/file/in', 'in it'),
  file('over/full/file', 'not written'),
  dir('over/full/link'),
  file('over/full/link/in', 'in it'),
  link('over/full/link', 'nowhere', { uid: 5, gid: 6 }),
  dir('over/full/pipe'),
  file('over/full/pipe/in', 'in it'),
  item({ name: 'over/full/pipe', mode: FIFO, uid: 8 }),
  dir('over/empty'),
  dir('over/empty/file'),
  file('over/empty/file', 'written'),
  dir('over/empty/link'),
  link('over/empty/link', 'elsewhere'),
  // Directories over other things, and over directories.
  dir('over/made'),
  file('over/made/file', 'gone'),
  dir('over/made/file', { mode: 0o040750 }),
  file('over/made/file/in', 'in it'),
  link('over/made/link', 'full'),
  dir('over/made/link'),
  dir('over/made/again', { mode: 0o040700 }),
  file('over/made/again/in', 'in it'),
  dir('over/made/again', { mode: 0o041777, uid: 9 }),
  // Devices: the first number, the latest owner.
  dir('over/device'),
  item({ name: 'over/device/same', mode: CHAR, rdev: [1, 3] }),
  item({ name: 'over/device/same', mode: 0o020666, gid: 5, rdev: [1, 7] }),
  item({ name: 'over/device/file', mode: CHAR, rdev: [1, 3] }),
  file('over/device/file', 'written'),
  file('over/device/pipe', 'gone'),
  item({ name: 'over/device/pipe', mode: FIFO }),
  // Links over links, and over files.
  dir('over/linked'),
  link('over/linked/a', 'first'),
  link('over/linked/a', 'second', { uid: 2 }),
  file('over/linked/b', 'gone', { ino: 508, nlink: 2 }),
  file('over/linked/c', 'stays', { ino: 508, nlink: 2 }),
  link('over/linked/b', 'c'),
  // The data was with a name that another thing replaced.
  dir('over/holder'),
  file('over/holder/a', '', { ino: 509, nlink: 2 }),
  file('over/holder/b', 'held', { ino: 509, nlink: 2 }),
  dir('over/holder/b'),
].map((one, at) => ({ ...one, ino: one.ino === 0 ? 600 + at : one.ino, mtime: 1_000_000_000 }));
