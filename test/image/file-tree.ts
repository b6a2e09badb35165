import assert from 'node:assert/strict';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { collect } from '../../src/image/chunks.js';
import type { ArchivePath } from '../../src/image/cpio/path.js';
import type { Edit } from '../../src/image/edit.js';
import type { Item } from './newc.js';

const DIR = 0o040000;
const LINK = 0o120000;
const REGULAR = 0o100000;
const type = (mode: number): number => mode & 0o170000;
const up = (path: string): string => path.split('/').slice(0, -1).join('/');
const split = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

/** A file; hard links are the same object under several paths. */
export interface Inode {
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  readonly rdev: readonly [number, number];
  data: Buffer; // content, or a link's target
}

/** Why a file system refuses an operation: ENOENT, ENOTDIR, EISDIR, EEXIST, ELOOP. */
export class Refusal extends Error {}

/** A file system in memory: what unpacking an archive makes, and what edits mean to a person. Paths are latin-1. */
export class FileTree {
  readonly files = new Map<string, Inode>();
  #hasRoot = false; // whether the archive has an entry for its root, whose mode nothing here looks at

  /** What unpacking `items` makes. */
  static unpack(items: readonly Item[]): FileTree {
    const tree = new FileTree();
    const inodes = new Map<string, Inode>();
    for (const { name, mode, uid, gid, mtime, rdev, data, nlink, dev, ino } of items) {
      const path = split(name).join('/');
      if (path === '') tree.#hasRoot = true;
      if (path === '') continue;
      const key = `${dev.join()}:${ino}`;
      const shared = nlink > 1 && type(mode) !== DIR ? inodes.get(key) : undefined;
      const inode = shared ?? { mode, uid, gid, mtime, rdev, data };
      if (data.length > 0) inode.data = data;
      if (nlink > 1) inodes.set(key, inode);
      tree.files.set(path, inode);
    }
    return tree;
  }

  clone(): FileTree {
    const copy = new FileTree();
    copy.#hasRoot = this.#hasRoot;
    const copies = new Map<Inode, Inode>();
    for (const [path, inode] of this.files) {
      const made = copies.get(inode) ?? { ...inode };
      copies.set(inode, made);
      copy.files.set(path, made);
    }
    return copy;
  }

  get paths(): string[] {
    return [...this.files.keys()];
  }

  isDirectory(path: string): boolean {
    const inode = this.files.get(path);
    return path === '' || (inode !== undefined && type(inode.mode) === DIR);
  }

  /** Does what `edit` says. Throws Refusal, and then nothing has changed. */
  async apply(edit: Edit, mtime: number): Promise<void> {
    if (edit.op === 'put') {
      const path = this.#resolve(edit.path, false);
      if (path === '') {
        if (type(edit.mode) !== DIR) throw new Refusal('EISDIR');
        return;
      }
      const parents = split(path)
        .slice(0, -1)
        .map((_, at) =>
          split(path)
            .slice(0, at + 1)
            .join('/'),
        );
      for (const parent of parents)
        if (this.files.has(parent) && !this.isDirectory(parent)) throw new Refusal('ENOTDIR');
      const standing = this.files.get(path);
      if (type(edit.mode) === DIR && standing !== undefined) {
        const leadsTo = type(standing.mode) === LINK ? this.#resolve(path, true) : path;
        if (!this.isDirectory(leadsTo)) throw new Refusal('EEXIST');
      } else {
        if (this.isDirectory(path)) throw new Refusal('EISDIR');
        const { mode, uid, gid } = edit;
        const rdev = [edit.rdev?.major ?? 0, edit.rdev?.minor ?? 0] as const;
        this.files.set(path, {
          mode,
          uid,
          gid,
          mtime: edit.mtime ?? mtime,
          rdev,
          data: await collect(edit.content.read()),
        });
      }
      for (const parent of parents) {
        if (this.files.has(parent)) continue;
        this.files.set(parent, {
          mode: DIR | 0o755,
          uid: 0,
          gid: 0,
          mtime,
          rdev: [0, 0],
          data: Buffer.alloc(0),
        });
      }
    } else if (edit.op === 'delete') {
      const path = this.#resolve(edit.path, false);
      if (path === '') throw new Refusal('EBUSY');
      const gone = this.paths.filter((other) => other === path || other.startsWith(`${path}/`));
      if (gone.length === 0 && edit.required) throw new Refusal('ENOENT');
      for (const other of gone) this.files.delete(other);
    } else if (edit.op === 'thin') {
      const kept = this.paths.filter((path) => edit.keeps(path as ArchivePath));
      for (const path of this.paths)
        if (!kept.some((one) => one === path || one.startsWith(`${path}/`))) this.files.delete(path);
    } else if (edit.op === 'link') {
      const inode = this.files.get(this.#resolve(edit.to, false));
      const path = this.#resolve(edit.path, false);
      if (inode === undefined) throw new Refusal('ENOENT');
      if ([DIR, LINK].includes(type(inode.mode))) throw new Refusal('EPERM');
      if (this.isDirectory(path)) throw new Refusal('EISDIR');
      const parents = split(path).slice(0, -1);
      for (const [at] of parents.entries()) {
        const parent = parents.slice(0, at + 1).join('/');
        if (this.files.has(parent) && !this.isDirectory(parent)) throw new Refusal('ENOTDIR');
      }
      if (!this.files.has(up(path)) && up(path) !== '') throw new Refusal('parents are for put to make');
      this.files.set(path, inode);
    } else if (edit.op === 'set') {
      const named = this.#resolve(edit.path, false);
      const reached = edit.type === DIR ? this.#resolve(named, true) : named;
      const inode = this.files.get(this.isDirectory(reached) ? reached : named);
      if (inode === undefined) throw new Refusal('ENOENT');
      if (edit.type !== undefined && type(inode.mode) !== edit.type) throw new Refusal('EEXIST');
      if (edit.mode !== undefined) inode.mode = type(inode.mode) | edit.mode;
      inode.uid = edit.uid ?? inode.uid;
      inode.gid = edit.gid ?? inode.gid;
      inode.mtime = edit.mtime ?? inode.mtime;
    } else if (edit.op === 'chmod') {
      const path = this.#resolve(edit.path, true);
      if (path === '' && this.#hasRoot) return;
      const inode = this.files.get(path);
      if (inode === undefined) throw new Refusal('ENOENT');
      inode.mode = type(inode.mode) | edit.mode;
    }
  }

  #resolve(path: string, last: boolean): string {
    let done: string[] = [];
    const ahead = split(path);
    for (let links = 0; ahead.length > 0;) {
      const part = ahead.shift()!;
      if (part === '..') {
        done.pop();
        continue;
      }
      const inode = this.files.get([...done, part].join('/'));
      if (inode !== undefined && type(inode.mode) === LINK && (last || ahead.length > 0)) {
        if (++links > 40) throw new Refusal('ELOOP');
        const target = inode.data.toString('latin1');
        if (target.startsWith('/')) done = [];
        ahead.unshift(...split(target));
      } else done.push(part);
    }
    return done.join('/');
  }
}

/** What stands below `dir` on disk, described line by line: one line a path, in order. */
export async function describeDisk(dir: string): Promise<string[]> {
  const lines: [string, string][] = [];
  const first = new Map<number, string>();
  const walk = async (below: string): Promise<void> => {
    const onDisk = Buffer.from(`${dir}/${below}`, 'latin1');
    for (const name of (await readdir(onDisk, { encoding: 'latin1' })).sort()) {
      const path = below === '' ? name : `${below}/${name}`;
      const file = Buffer.from(`${dir}/${path}`, 'latin1');
      const { mode, uid, gid, mtimeMs, rdev, ino } = await lstat(file);
      const data =
        type(mode) === REGULAR
          ? await readFile(file)
          : type(mode) === LINK
            ? await readlink(file, { encoding: 'buffer' })
            : Buffer.alloc(0);
      const device: [number, number] = [rdev >>> 8, rdev & 0xff];
      if (!first.has(ino)) first.set(ino, path);
      const inode = { mode, uid, gid, mtime: mtimeMs / 1000, rdev: device, data };
      lines.push([path, describe(path, inode, first.get(ino)!)]);
      if (type(mode) === DIR) await walk(path);
    }
  };
  await walk('');
  return lines.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
}

/** The same description of a tree in memory. */
export function describeTree(tree: FileTree): string[] {
  const first = new Map<Inode, string>();
  const paths = tree.paths;
  // The order in which describeDisk meets them: a directory's names sorted, each followed by what is below it.
  const key = (path: string): string => path.replaceAll('/', '\0');
  paths.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  for (const path of paths) {
    const inode = tree.files.get(path)!;
    if (!first.has(inode)) first.set(inode, path);
  }
  return paths
    .map((path): [string, string] => {
      const inode = tree.files.get(path)!;
      return [path, describe(path, inode, first.get(inode)!)];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, line]) => line);
}

function describe(path: string, inode: Inode, first: string): string {
  const { mode, uid, gid, mtime, rdev, data } = inode;
  const kind = type(mode);
  assert.equal(data.length > 0 && kind !== REGULAR && kind !== LINK, false);
  const permissions = kind === LINK ? '' : (mode & 0o7777).toString(8);
  const time = kind === DIR || kind === LINK ? '' : mtime; // of links GNU cpio does not restore it
  const device = kind === 0o020000 || kind === 0o060000 ? rdev.join() : '';
  const content = `${data.length}:${data.subarray(0, 40).toString('latin1')}:${checksum(data)}`;
  return JSON.stringify([path, kind.toString(8), permissions, uid, gid, time, device, content, first]);
}

function checksum(data: Buffer): number {
  let sum = 0;
  for (const byte of data) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}
