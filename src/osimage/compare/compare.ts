import { createHash } from 'node:crypto';
import { isRegular, S_IFMT } from '../../image/cpio/header.js';
import { pathToText, type ArchivePath } from '../../image/cpio/path.js';
import { textDiff } from './text-diff.js';
import type { ComparedFile, ComparedTree } from './tree.js';

/** What can differ between two files of one path. */
export type Difference = 'content' | 'mode' | 'owner' | 'type' | 'target' | 'device';

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
  readonly sha256?: string; // of content that differs
}

/** What differs between two trees, in order of their paths' bytes; with `text`, text files line by line. */
export async function compareTrees(
  before: ComparedTree,
  after: ComparedTree,
  options: { readonly text: boolean },
): Promise<PathChange[]> {
  const changes: PathChange[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const change = await compareFiles(before.get(path), after.get(path));
    if (change === undefined) continue;
    const text = options.text ? await textOf(path, before.get(path), after.get(path), change) : undefined;
    changes.push({ path: pathToText(path), ...change, ...(text === undefined ? {} : { text }) });
  }
  return changes;
}

type Change = Omit<PathChange, 'path' | 'text'>;

async function compareFiles(
  before: ComparedFile | undefined,
  after: ComparedFile | undefined,
): Promise<Change | undefined> {
  if (before === undefined) {
    return after === undefined ? undefined : { change: 'added', what: [], after: side(after) };
  }
  if (after === undefined) return { change: 'removed', what: [], before: side(before) };
  const what: Difference[] = [];
  if ((before.mode & S_IFMT) !== (after.mode & S_IFMT)) what.push('type');
  if ((before.mode & 0o7777) !== (after.mode & 0o7777)) what.push('mode');
  if (before.uid !== after.uid || before.gid !== after.gid) what.push('owner');
  if (before.target !== after.target) what.push('target');
  if (before.device !== after.device) what.push('device');
  const digests = await compareContent(before, after);
  if (digests !== undefined) what.push('content');
  if (what.length === 0) return undefined;
  return {
    change: 'changed',
    what,
    before: { ...side(before), ...(digests === undefined ? {} : { sha256: digests.before }) },
    after: { ...side(after), ...(digests === undefined ? {} : { sha256: digests.after }) },
  };
}

function side({ mode, uid, gid, size, target, device }: ComparedFile): Side {
  return {
    mode,
    uid,
    gid,
    size,
    ...(target === undefined ? {} : { target: Buffer.from(target, 'latin1').toString('utf8') }),
    ...(device === undefined ? {} : { device }),
  };
}

/** The digests of two regular files whose bytes differ. */
export async function compareContent(
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
