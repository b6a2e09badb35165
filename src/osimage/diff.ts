import { createHash } from 'node:crypto';
import { pathToText } from '../image/cpio/path.js';
import type { PlacedEntry } from '../image/archive-index.js';
import type { Store } from '../store/records.js';
import { openArchive, type OpenArchive } from './contents.js';
import type { Artifact, GenerationManifest } from './types.js';

/** How a path of an archive differs between two generations. */
export interface PathChange {
  readonly archive: string;
  readonly path: string; // as a person reads it
  readonly change: 'added' | 'removed' | 'changed';
  readonly what: readonly ('content' | 'mode' | 'owner' | 'type' | 'target' | 'device')[]; // of a change
  readonly before?: Side;
  readonly after?: Side;
}

/** An entry on one side of a comparison. */
export interface Side {
  readonly mode: number;
  readonly size: number;
  readonly sha256?: string; // of changed content
}

/** What differs between two generations. */
export interface GenerationDiff {
  readonly paths: readonly PathChange[];
  readonly boot: readonly {
    readonly label: string;
    readonly before: string | null;
    readonly after: string | null;
  }[];
  readonly answer: { readonly before: string | null; readonly after: string | null } | null; // templates' names and digests
  /** Files that are not archives, by SHA-256. */
  readonly files: readonly {
    readonly path: string;
    readonly before: string | null;
    readonly after: string | null;
  }[];
}

/** Compares what two generations hold and how they boot. */
export async function diffGenerations(
  store: Store,
  before: GenerationManifest,
  after: GenerationManifest,
): Promise<GenerationDiff> {
  const paths: PathChange[] = [];
  for (const archive of new Set([...Object.keys(before.archives), ...Object.keys(after.archives)])) {
    if (before.archives[archive] === after.archives[archive]) continue;
    paths.push(...(await diffArchives(store, archive, before, after)));
  }
  return {
    paths,
    boot: pairs(
      before.boot,
      after.boot,
      (entry) => entry.label,
      (entry) => entry.args,
    ).map(({ key, ...sides }) => ({ label: key, ...sides })),
    answer:
      answerText(before) === answerText(after)
        ? null
        : { before: answerText(before), after: answerText(after) },
    files: pairs(
      plainFiles(before),
      plainFiles(after),
      (file) => file.path,
      (file) => file.sha256,
    ).map(({ key, ...sides }) => ({ path: key, ...sides })),
  };
}

function plainFiles(manifest: GenerationManifest): Artifact[] {
  return [...manifest.files, ...manifest.tree].filter((file) => manifest.archives[file.path] === undefined);
}

function answerText({ answer }: GenerationManifest): string | null {
  return answer === undefined ? null : `${answer.name} (sha256 ${answer.template.slice(0, 12)})`;
}

/** Items of two lists with the same key and different values. */
function pairs<T>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (item: T) => string,
  valueOf: (item: T) => string,
): { key: string; before: string | null; after: string | null }[] {
  const left = new Map(before.map((item) => [keyOf(item), valueOf(item)]));
  const right = new Map(after.map((item) => [keyOf(item), valueOf(item)]));
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((key) => left.get(key) !== right.get(key))
    .map((key) => ({ key, before: left.get(key) ?? null, after: right.get(key) ?? null }));
}

async function diffArchives(
  store: Store,
  archive: string,
  before: GenerationManifest,
  after: GenerationManifest,
): Promise<PathChange[]> {
  const left = before.archives[archive] === undefined ? undefined : await openArchive(store, before, archive);
  const right = after.archives[archive] === undefined ? undefined : await openArchive(store, after, archive);
  const leftPaths = byPath(left);
  const rightPaths = byPath(right);
  const changes: PathChange[] = [];
  for (const path of [...new Set([...leftPaths.keys(), ...rightPaths.keys()])].sort()) {
    const one = leftPaths.get(path);
    const other = rightPaths.get(path);
    const shared = { archive, path: pathToText((one ?? other)?.path ?? ('' as PlacedEntry['path'])) };
    if (one === undefined && other !== undefined && right !== undefined) {
      changes.push({ ...shared, change: 'added', what: [], after: side(right, other) });
    } else if (other === undefined && one !== undefined && left !== undefined) {
      changes.push({ ...shared, change: 'removed', what: [], before: side(left, one) });
    } else if (one !== undefined && other !== undefined && left !== undefined && right !== undefined) {
      const change = await compare(left, one, right, other);
      if (change !== undefined) changes.push({ ...shared, change: 'changed', ...change });
    }
  }
  return changes;
}

function byPath(archive: OpenArchive | undefined): Map<string, PlacedEntry> {
  return new Map(archive?.entries.map((entry) => [entry.path, entry]));
}

function side({ tree }: OpenArchive, entry: PlacedEntry): Side {
  return { mode: entry.header.mode, size: tree.dataOf(entry).header.size };
}

async function compare(
  left: OpenArchive,
  one: PlacedEntry,
  right: OpenArchive,
  other: PlacedEntry,
): Promise<Pick<PathChange, 'what' | 'before' | 'after'> | undefined> {
  const [a, b] = [one.header, other.header];
  const what: PathChange['what'][number][] = [];
  if ((a.mode & 0o170000) !== (b.mode & 0o170000)) what.push('type');
  if ((a.mode & 0o7777) !== (b.mode & 0o7777)) what.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) what.push('owner');
  if (one.target !== other.target) what.push('target');
  if (a.rdevMajor !== b.rdevMajor || a.rdevMinor !== b.rdevMinor) what.push('device');
  let before = side(left, one);
  let after = side(right, other);
  if (one.target === undefined && other.target === undefined && left.mark(one) !== right.mark(other)) {
    const [first, second] = [await digest(left.read(one)), await digest(right.read(other))];
    if (first !== second) {
      what.push('content');
      before = { ...before, sha256: first };
      after = { ...after, sha256: second };
    }
  }
  return what.length === 0 ? undefined : { what, before, after };
}

async function digest(data: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of data) hash.update(chunk);
  return hash.digest('hex');
}
