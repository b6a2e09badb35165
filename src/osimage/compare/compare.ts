import { createHash } from 'node:crypto';
import { isRegular, S_IFMT } from '../../image/cpio/header.js';
import { pathToText, type ArchivePath } from '../../image/cpio/path.js';
import { textDiff } from './text-diff.js';
import type { ComparedFile, ComparedTree } from './tree.js';

/** What can differ between two files of one path. */
export type Difference = 'content' | 'mode' | 'owner' | 'type' | 'target' | 'device' | 'time' | 'link';

/** How a path differs between two trees. */
export interface PathChange {
  readonly path: string; // as a person reads it
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: readonly Difference[]; // of a change
  readonly before?: Side;
  readonly after?: Side;
  readonly text?: string; // a unified diff, where one was asked for and both sides are text
}

/** A file on one side of a comparison. */
export interface Side {
  readonly mode: number; // st_mode
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly target?: string; // of a symbolic link
  readonly device?: string; // `major:minor`
  readonly mtime: number; // seconds
  readonly names?: readonly string[]; // other names of the same file
  readonly sha256?: string; // of content that differs
}

/** How trees are compared. */
export interface CompareOptions {
  readonly text: boolean; // text files line by line
  readonly times: boolean;
}

/**
 * What differs between two trees, in order of their paths' bytes. Times count, and which paths are names of one file, only
 * where nothing differs that brings another time or another file with it.
 */
export async function compareTrees(
  before: ComparedTree,
  after: ComparedTree,
  options: CompareOptions,
): Promise<PathChange[]> {
  const names = { before: new FileNames(before), after: new FileNames(after) };
  const common = (paths: readonly ArchivePath[]): string => {
    const both = paths.filter((path) => before.has(path) && after.has(path));
    return both.length < 2 ? '' : both.join('\0');
  };
  const changes: PathChange[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [left, right] = [before.get(path), after.get(path)];
    const [was, now] = [names.before.of(path), names.after.of(path)];
    const linked = common(was) !== common(now); // names that came or went are changes of their own
    const change = await compareFiles(left, right, { linked, times: options.times });
    if (change === undefined) continue;
    const text = options.text ? await textOf(path, left, right, change) : undefined;
    const { what } = change;
    changes.push({
      path: pathToText(path),
      change: change.change,
      what,
      ...(change.before === undefined ? {} : { before: { ...change.before, ...otherNames(path, was) } }),
      ...(change.after === undefined ? {} : { after: { ...change.after, ...otherNames(path, now) } }),
      ...(text === undefined ? {} : { text }),
    });
  }
  return changes;
}

/** The names of each file of a tree that has several. */
class FileNames {
  readonly #tree: ComparedTree;
  readonly #names = new Map<string, ArchivePath[]>();

  constructor(tree: ComparedTree) {
    this.#tree = tree;
    for (const [path, { inode }] of tree) {
      if (inode === undefined) continue;
      const known = this.#names.get(inode);
      if (known === undefined) this.#names.set(inode, [path]);
      else known.push(path);
    }
    for (const names of this.#names.values()) names.sort();
  }

  /** All names of the file at `path`; none where it has but that one. */
  of(path: ArchivePath): readonly ArchivePath[] {
    const inode = this.#tree.get(path)?.inode;
    const names = inode === undefined ? undefined : this.#names.get(inode);
    return names === undefined || names.length < 2 ? [] : names;
  }
}

function otherNames(path: ArchivePath, names: readonly ArchivePath[]): { readonly names?: string[] } {
  return names.length === 0 ? {} : { names: names.filter((name) => name !== path).map(pathToText) };
}

type Change = Omit<PathChange, 'path' | 'text'>;

async function compareFiles(
  before: ComparedFile | undefined,
  after: ComparedFile | undefined,
  { linked, times }: { readonly linked: boolean; readonly times: boolean },
): Promise<Change | undefined> {
  if (before === undefined) {
    return after === undefined ? undefined : { change: 'added', what: [], after: side(after) };
  }
  if (after === undefined) return { change: 'removed', what: [], before: side(before) };
  const digests = await compareContent(before, after);
  const isOther =
    (before.mode & S_IFMT) !== (after.mode & S_IFMT) ||
    before.target !== after.target ||
    before.device !== after.device ||
    digests !== undefined;
  const what: Difference[] = [];
  if ((before.mode & S_IFMT) !== (after.mode & S_IFMT)) what.push('type');
  if ((before.mode & 0o7777) !== (after.mode & 0o7777)) what.push('mode');
  if (before.uid !== after.uid || before.gid !== after.gid) what.push('owner');
  if (before.target !== after.target) what.push('target');
  if (before.device !== after.device) what.push('device');
  if (digests !== undefined) what.push('content');
  if (!isOther && times && before.mtime !== after.mtime) what.push('time');
  if (!isOther && linked) what.push('link');
  if (what.length === 0) return undefined;
  return {
    change: 'changed',
    what,
    before: { ...side(before), ...(digests === undefined ? {} : { sha256: digests.before }) },
    after: { ...side(after), ...(digests === undefined ? {} : { sha256: digests.after }) },
  };
}

function side({ mode, uid, gid, mtime, size, target, device }: ComparedFile): Side {
  return {
    mode,
    uid,
    gid,
    mtime,
    size,
    ...(target === undefined ? {} : { target: Buffer.from(target, 'latin1').toString('utf8') }),
    ...(device === undefined ? {} : { device }),
  };
}

/** The digests of two regular files whose bytes differ. */
async function compareContent(
  before: ComparedFile,
  after: ComparedFile,
): Promise<{ readonly before: string; readonly after: string } | undefined> {
  if (!isRegular(before.mode) || !isRegular(after.mode)) return undefined;
  if (before.mark !== undefined && before.mark === after.mark) return undefined;
  const digests = { before: await digestOf(before.read()), after: await digestOf(after.read()) };
  return digests.before === digests.after ? undefined : digests;
}

async function digestOf(data: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of data) hash.update(chunk);
  return hash.digest('hex');
}

async function textOf(
  path: ArchivePath,
  before: ComparedFile | undefined,
  after: ComparedFile | undefined,
  { change, what }: Change,
): Promise<string | undefined> {
  return change === 'changed' && !what.includes('content')
    ? undefined
    : textDiff(pathToText(path), before, after);
}
