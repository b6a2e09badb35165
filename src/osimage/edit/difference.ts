import type { BigIntStats } from 'node:fs';
import { chmod, readlink } from 'node:fs/promises';
import type { PlacedEntry } from '../../image/archive-index.js';
import { haveSameBytes } from '../../image/chunks.js';
import {
  isDirectory,
  isRegular,
  isSymlink,
  requireFileSize,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../../image/cpio/header.js';
import { canonicalPath, parentOf, pathToText, ROOT, type ArchivePath } from '../../image/cpio/path.js';
import { splitDevice } from '../../image/device-number.js';
import type { LayerAttributes, LayerFile, LayerSnapshot } from '../../image/layer.js';
import { readLocalFile, wholeSeconds } from '../../image/local-file.js';
import type { MtreeEntry } from '../../image/mtree.js';
import { onDisk } from '../../image/unpacked/unpack.js';
import type { BlobWriter } from '../../store/types.js';
import { statsOf, type Baseline } from './baseline.js';
import { readAttributes } from './extended-attributes.js';

/** An archive that was unpacked into a directory. */
export interface UnpackedTree {
  readonly root: string;
  /** Where each entry lies below `root`, those included that could not be made there. */
  readonly placed: ReadonlyMap<ArchivePath, PlacedEntry>;
  /** The data of an entry; of a hard link, that of the inode. */
  read(entry: PlacedEntry): AsyncIterable<Buffer>;
  readonly baseline: Baseline;
  readonly holdsAttributes: boolean; // whether the archive's format has extended attributes
  readonly ended: bigint; // when the command had ended: nanoseconds, by the file system's clock
  /** Who unpacked it without the right to give files away: on disk, its files are root's in the image. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** What a command changed in an unpacked archive: what a layer would say of it, contents still to be stored. */
export interface TreeDifference {
  readonly removals: readonly ArchivePath[];
  readonly files: readonly ChangedFile[];
  readonly mtree: readonly Omit<MtreeEntry, 'line'>[];
  readonly attributes: readonly LayerAttributes[];
  readonly notes: readonly string[]; // what of the change is lost
}

/** A file of the difference; `place` is where its content lies. */
type ChangedFile = Omit<LayerFile, 'blob'> & { readonly place?: Buffer };

/** Whether a difference says nothing. */
export function isEmpty({ removals, files, mtree, attributes }: TreeDifference): boolean {
  return removals.length + files.length + mtree.length + attributes.length === 0;
}

/**
 * What is different in an unpacked archive from what was unpacked: contents, types, permissions, owners, links, devices,
 * deletions, and times that lie before or after all that was done, which somebody must have set. Files whose change time is the old one are not read. Throws ImageError UNREADABLE.
 */
export async function findDifference(tree: UnpackedTree): Promise<TreeDifference> {
  return new Comparison(tree, await statsOf(tree.root)).run();
}

/** The difference as a layer has it, contents stored. */
export async function storeDifference(
  { removals, files, mtree, attributes }: TreeDifference,
  writer: BlobWriter,
): Promise<LayerSnapshot> {
  const stored: LayerFile[] = [];
  for (const { place, ...file } of files) {
    if (place === undefined || file.size === 0) {
      stored.push(file);
      continue;
    }
    requireFileSize(file.size, pathToText(canonicalPath(file.path)));
    const { digest, size } = await writer.putStream(readLocalFile(place));
    stored.push({ ...file, size, blob: digest });
  }
  const lines = mtree.map((entry, index) => ({ ...entry, line: index + 1 }));
  const set = attributes.length === 0 ? {} : { attributes };
  return { version: 1, removals, files: stored, mtree: lines, ...set, bootargs: '' };
}

const modeOf = (info: BigIntStats): number => Number(info.mode);
const typeOf = (info: BigIntStats): number => modeOf(info) & S_IFMT;
const permissionsOf = (info: BigIntStats): number => modeOf(info) & 0o7777;

class Comparison {
  readonly #tree: UnpackedTree;
  readonly #before: ReadonlyMap<ArchivePath, BigIntStats>;
  readonly #after: ReadonlyMap<ArchivePath, BigIntStats>;
  readonly #removals: ArchivePath[] = [];
  readonly #files: ChangedFile[] = [];
  readonly #mtree: Omit<MtreeEntry, 'line'>[] = [];

  constructor(tree: UnpackedTree, after: ReadonlyMap<ArchivePath, BigIntStats>) {
    this.#tree = tree;
    this.#before = tree.baseline.files;
    this.#after = after;
  }

  async run(): Promise<TreeDifference> {
    this.#findRemovals();
    const paths = [...this.#after.keys()].sort();
    for (const path of paths) {
      const info = this.#after.get(path);
      if (info !== undefined && typeOf(info) !== S_IFREG) await this.#compareOther(path, info);
    }
    const beforeNames = namesByInode(this.#before);
    for (const names of namesByInode(this.#after).values())
      await this.#compareFile(names.sort(), beforeNames);
    const { attributes, notes } = await this.#setAttributes();
    return {
      attributes,
      notes,
      removals: this.#removals,
      files: this.#files.sort((a, b) => (a.path < b.path ? -1 : 1)),
      mtree: this.#mtree.sort((a, b) => (a.path < b.path ? -1 : 1)),
    };
  }

  /** What is gone, and what must go because a directory stands in its place, or stood there: its topmost paths. */
  #findRemovals(): void {
    const removed = new Set<ArchivePath>();
    for (const [path, before] of [...this.#before].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (path === ROOT) continue;
      if (this.#isBelow(path, removed)) continue;
      const after = this.#after.get(path);
      if (after !== undefined && isDirectory(modeOf(after)) === isDirectory(modeOf(before))) continue;
      removed.add(path);
      this.#removals.push(path);
    }
  }

  /** The attributes that the command set: unpacked, the files had none. */
  async #setAttributes(): Promise<Pick<TreeDifference, 'attributes' | 'notes'>> {
    const { root, holdsAttributes } = this.#tree;
    const touched = [...this.#after].flatMap(([path, { ino, ctimeNs }]) => {
      const before = this.#before.get(path);
      return before?.ino === ino && before.ctimeNs === ctimeNs ? [] : [path];
    });
    const found = await readAttributes(root, touched);
    if (found === undefined) {
      const why = 'extended attributes that the command set are not looked for; install python3';
      return { attributes: [], notes: holdsAttributes ? [why] : [] };
    }
    const attributes = [...found]
      .map(([path, values]) => ({ path, values }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
    const [first] = attributes;
    if (holdsAttributes || first === undefined) return { attributes, notes: [] };
    const others = attributes.length === 1 ? '' : ` and of ${attributes.length - 1} more`;
    const what = `the extended attributes that the command set of ${pathToText(first.path)}${others} are lost`;
    return { attributes: [], notes: [`${what}: a cpio archive holds none, tar and squashfs do`] };
  }

  #isBelow(path: ArchivePath, removed: ReadonlySet<ArchivePath>): boolean {
    for (let up = parentOf(path); up !== ROOT; up = parentOf(up)) if (removed.has(up)) return true;
    return false;
  }

  /** Compares a directory, link, device, pipe or socket. */
  async #compareOther(path: ArchivePath, info: BigIntStats): Promise<void> {
    const before = this.#before.get(path);
    if (before !== undefined && typeOf(before) === typeOf(info)) {
      if (before.ino === info.ino && before.ctimeNs === info.ctimeNs) return;
      if (!isSymlink(modeOf(info)) && before.rdev === info.rdev)
        return this.#compareFields(path, before, info);
      const target = this.#tree.placed.get(path)?.target;
      if (isSymlink(modeOf(info)) && (await this.#targetOf(path)) === target) {
        return this.#compareFields(path, before, info);
      }
    }
    const type = typeOf(info);
    if (type === S_IFSOCK) return; // what a program listened on; nobody does in an archive
    if (isSymlink(modeOf(info))) {
      this.#files.push({ path, mode: modeOf(info), size: 0, target: await this.#targetOf(path) });
    } else if (isDirectory(modeOf(info))) {
      this.#files.push({ path, mode: modeOf(info), size: 0 });
    } else if (type === S_IFCHR || type === S_IFBLK || type === S_IFIFO) {
      this.#mtree.push({
        path,
        type,
        mode: permissionsOf(info),
        ...this.#ownerOf(info),
        ...(type === S_IFIFO ? {} : { rdev: splitDevice(info.rdev) }),
        ...this.#chosenTime(info),
      });
      return;
    }
    this.#setOwnerAndTime(path, before, info);
  }

  async #targetOf(path: ArchivePath): Promise<string> {
    return (await readlink(onDisk(this.#tree.root, path), { encoding: 'buffer' })).toString('latin1');
  }

  /** Compares a regular file, by all of its names. */
  async #compareFile(
    names: readonly ArchivePath[],
    beforeNames: ReadonlyMap<string, readonly ArchivePath[]>,
  ): Promise<void> {
    const [first] = names;
    const info = first === undefined ? undefined : this.#after.get(first);
    if (first === undefined || info === undefined) return;
    const isKept = (path: ArchivePath): boolean => {
      const before = this.#before.get(path);
      return before !== undefined && before.ino === info.ino && typeOf(before) === S_IFREG;
    };
    const kept = names.filter(isKept);
    const reference =
      kept[0] ?? (names.length === 1 && this.#hadOneName(first, beforeNames) ? first : undefined);
    const before = reference === undefined ? undefined : this.#before.get(reference);
    if (
      reference !== undefined &&
      before !== undefined &&
      (await this.#hasSameContent(reference, before, info))
    ) {
      for (const path of names) {
        if (path !== reference && !kept.includes(path)) this.#linkTo(path, reference, info);
      }
      this.#compareFields(reference, before, info);
      return;
    }
    const standing = this.#before.get(first);
    const place = onDisk(this.#tree.root, first);
    if ((permissionsOf(info) & 0o400) === 0 && this.#tree.owner !== undefined) await chmod(place, 0o600);
    this.#files.push({
      path: first,
      mode: this.#modeOf(first, standing, info),
      size: Number(info.size),
      place,
    });
    this.#setOwnerAndTime(first, standing, info);
    for (const path of names.slice(1)) this.#linkTo(path, first, info);
  }

  #hadOneName(path: ArchivePath, beforeNames: ReadonlyMap<string, readonly ArchivePath[]>): boolean {
    const before = this.#before.get(path);
    return (
      before !== undefined &&
      typeOf(before) === S_IFREG &&
      beforeNames.get(inodeKey(path, before))?.length === 1
    );
  }

  #linkTo(path: ArchivePath, sameAs: ArchivePath, info: BigIntStats): void {
    this.#files.push({ path, mode: modeOf(info), size: Number(info.size), sameAs });
  }

  async #hasSameContent(path: ArchivePath, before: BigIntStats, after: BigIntStats): Promise<boolean> {
    if (before.size !== after.size) return false;
    if (before.ino === after.ino && before.ctimeNs === after.ctimeNs) return true;
    const entry = this.#tree.placed.get(path);
    if (entry === undefined) return false;
    const place = onDisk(this.#tree.root, path);
    if ((permissionsOf(after) & 0o400) === 0 && this.#tree.owner !== undefined) await chmod(place, 0o600);
    return haveSameBytes(this.#tree.read(entry), readLocalFile(place));
  }

  /** Says which permissions, owner and time a file has now, if they are others than those it was unpacked with. */
  #compareFields(path: ArchivePath, before: BigIntStats, after: BigIntStats): void {
    const isLink = isSymlink(modeOf(after));
    const mode =
      !isLink && permissionsOf(before) !== permissionsOf(after) ? { mode: permissionsOf(after) } : {};
    const owner = before.uid !== after.uid || before.gid !== after.gid ? this.#ownerOf(after) : {};
    const time = wholeSeconds(before.mtimeNs) === wholeSeconds(after.mtimeNs) ? {} : this.#chosenTime(after);
    const fields = { ...mode, ...owner, ...time };
    if (Object.keys(fields).length > 0) this.#mtree.push({ path, ...fields });
  }

  /** Of an entry that is put: the owner, which is root's unless said, and a time that the command chose. */
  #setOwnerAndTime(path: ArchivePath, before: BigIntStats | undefined, after: BigIntStats): void {
    const entry = this.#tree.placed.get(path);
    const stays = before !== undefined && before.uid === after.uid && before.gid === after.gid;
    const { uid, gid } = stays && entry !== undefined ? entry.header : this.#ownerOf(after);
    const fields = { ...(uid === 0 && gid === 0 ? {} : { uid, gid }), ...this.#chosenTime(after) };
    if (Object.keys(fields).length > 0) this.#mtree.push({ path, ...fields });
  }

  /** The time of a file if somebody set it: what is merely written to has one between the start and the end of the command. */
  #chosenTime({ mtimeNs }: BigIntStats): { readonly mtime?: number } {
    const { baseline, ended } = this.#tree;
    return mtimeNs >= baseline.at && mtimeNs <= ended ? {} : { mtime: wholeSeconds(mtimeNs) };
  }

  #ownerOf({ uid, gid }: BigIntStats): { readonly uid: number; readonly gid: number } {
    const { owner } = this.#tree;
    return {
      uid: Number(uid) === owner?.uid ? 0 : Number(uid),
      gid: Number(gid) === owner?.gid ? 0 : Number(gid),
    };
  }

  /** The mode of a file that is put: the archive's, where unpacking changed it and the command did not. */
  #modeOf(path: ArchivePath, before: BigIntStats | undefined, after: BigIntStats): number {
    const entry = this.#tree.placed.get(path);
    const stays = before !== undefined && before.mode === after.mode && entry !== undefined;
    return stays && isRegular(entry.header.mode) ? entry.header.mode : modeOf(after);
  }
}

/** The names of each regular file. */
function namesByInode(files: ReadonlyMap<ArchivePath, BigIntStats>): Map<string, ArchivePath[]> {
  const names = new Map<string, ArchivePath[]>();
  for (const [path, info] of files) {
    if (typeOf(info) !== S_IFREG) continue;
    const key = inodeKey(path, info);
    const known = names.get(key);
    if (known === undefined) names.set(key, [path]);
    else known.push(path);
  }
  return names;
}

const inodeKey = (path: ArchivePath, { nlink, ino }: BigIntStats): string =>
  nlink > 1n ? `${ino}` : `/${path}`;
