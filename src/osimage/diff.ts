import { stat } from 'node:fs/promises';
import { ROOT } from '../image/cpio/path.js';
import { unreadable, readLocalFile } from '../image/local-file.js';
import { readArchive } from '../image/read-archive.js';
import { zeroCounts } from '../image/segment-writer.js';
import type { Store } from '../store/records.js';
import { ScratchBlobs } from '../store/scratch-blobs.js';
import { compareTrees, type CompareOptions, type PathChange } from './compare/compare.js';
import { treeOfArchive, treeOfDirectory, type ComparedTree } from './compare/tree.js';
import { openArchive, openDescriptor } from './contents.js';
import type { Artifact, BootEntry, GenerationManifest } from './types.js';

/** How a path of an archive differs between two generations. */
export type ArchiveChange = PathChange & { readonly archive: string };

/** One thing by its name, on both sides; null where a side has none. */
interface Sides {
  readonly before: string | null;
  readonly after: string | null;
}

/** What differs between two generations. */
export interface GenerationDiff {
  readonly paths: readonly ArchiveChange[];
  /** Kernel lines: arguments of the hypervisor, where there is one, and of the kernel. */
  readonly boot: readonly ({ readonly label: string } & Sides)[];
  /** What boot entries load: hypervisor, kernel, archives, by their paths below files/. */
  readonly loads: readonly ({ readonly label: string } & Sides)[];
  readonly answer: Sides | null; // templates' names and digests
  /** Files by SHA-256; of the archives those that differ though none of their paths does, as one compressed otherwise. */
  readonly files: readonly ({ readonly path: string } & Sides)[];
  readonly settings: readonly ({ readonly name: string } & Sides)[];
  /** Layers by the SHA-256 of what was read of them; `order` when they are the same ones in another order. */
  readonly layers: readonly ({ readonly name: string } & Sides)[];
}

/** Compares what two generations hold and how they boot. */
export async function diffGenerations(
  store: Store,
  before: GenerationManifest,
  after: GenerationManifest,
  options: CompareOptions = { text: false, times: true },
): Promise<GenerationDiff> {
  const paths: ArchiveChange[] = [];
  for (const archive of new Set([...Object.keys(before.archives), ...Object.keys(after.archives)])) {
    if (before.archives[archive] === after.archives[archive]) continue;
    const left = await treeOf(store, before, archive);
    const right = await treeOf(store, after, archive);
    for (const change of await compareTrees(left, right, options)) paths.push({ archive, ...change });
  }
  const between = <T>(
    itemsOf: (manifest: GenerationManifest) => readonly T[],
    keyOf: (item: T) => string,
    valueOf: (item: T) => string,
  ): Pair[] => pairs(itemsOf(before), itemsOf(after), keyOf, valueOf);
  const labelled = (valueOf: (entry: BootEntry) => string): GenerationDiff['boot'] =>
    between(
      ({ boot }) => boot,
      ({ label }) => label,
      valueOf,
    ).map(({ key, ...sides }) => ({ label: key, ...sides }));
  const settings = between(
    ({ inputs }) => Object.entries(inputs.settings),
    ([name]) => name,
    ([, value]) => value,
  );
  const toldByPaths = new Set(paths.map(({ archive }) => archive));
  const answer = { before: answerText(before), after: answerText(after) };
  return {
    paths,
    boot: labelled((entry) =>
      entry.kind === 'xen' ? `${entry.hypervisorArgs} --- ${entry.args}` : entry.args,
    ),
    loads: labelled(loadedBy),
    answer: answer.before === answer.after ? null : answer,
    files: between(
      filesOf,
      (file) => file.path,
      (file) => file.sha256,
    )
      .filter(({ key }) => !toldByPaths.has(key))
      .map(({ key, ...sides }) => ({ path: key, ...sides })),
    settings: settings.map(({ key, ...sides }) => ({ name: key, ...sides })),
    layers: layerChanges(before, after),
  };
}

/** The difference between generations that have none. */
export const NO_DIFFERENCE: GenerationDiff = {
  ...{ paths: [], boot: [], loads: [], answer: null },
  ...{ files: [], settings: [], layers: [] },
};

function filesOf({ files, tree, attached }: GenerationManifest): Artifact[] {
  return [...files, ...tree, ...(attached?.files ?? [])];
}

function loadedBy(entry: BootEntry): string {
  const files = [...(entry.kind === 'xen' ? [entry.hypervisor] : []), entry.kernel, ...entry.initrds];
  const only = entry.kind === 'linux' ? [entry.efiProgram, entry.firmware] : [];
  return [...files, ...only.filter((word) => word !== undefined)].join(' ');
}

function layerChanges(before: GenerationManifest, after: GenerationManifest): GenerationDiff['layers'] {
  const [left, right] = [before.inputs.layers, after.inputs.layers];
  const changes = pairs(
    left,
    right,
    ({ name }) => name,
    ({ digest }) => digest,
  );
  if (changes.length > 0) return changes.map(({ key, ...sides }) => ({ name: key, ...sides }));
  const order = (layers: typeof left): string => layers.map(({ name }) => name).join(':');
  if (order(left) === order(right)) return [];
  return [{ name: 'order', before: order(left), after: order(right) }];
}

function answerText({ answer }: GenerationManifest): string | null {
  return answer === undefined ? null : `${answer.name} (sha256 ${answer.template.slice(0, 12)})`;
}

type Pair = { readonly key: string } & Sides;

/** Items of two lists with the same key and different values. */
function pairs<T>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (item: T) => string,
  valueOf: (item: T) => string,
): Pair[] {
  const left = new Map(before.map((item) => [keyOf(item), valueOf(item)]));
  const right = new Map(after.map((item) => [keyOf(item), valueOf(item)]));
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((key) => left.get(key) !== right.get(key))
    .map((key) => ({ key, before: left.get(key) ?? null, after: right.get(key) ?? null }));
}

async function treeOf(store: Store, manifest: GenerationManifest, archive: string): Promise<ComparedTree> {
  if (manifest.archives[archive] === undefined) return new Map();
  return treeOfArchive(await openArchive(store, manifest, archive));
}

/** What to compare with what `diffWithPath` finds at a path. */
export interface DiffSubject {
  readonly manifest: GenerationManifest;
  readonly archive: string;
  readonly part?: number;
}

/**
 * Compares an archive of a generation (before) with the directory or archive file at `path` (after); the root directory
 * itself is left out. An archive file is unpacked into the store's scratch. Throws ImageError.
 */
export async function diffWithPath(
  store: Store,
  { manifest, archive, part }: DiffSubject,
  path: string,
  options: CompareOptions,
): Promise<PathChange[]> {
  const before = withoutRoot(treeOfArchive(await openArchive(store, manifest, archive, part)));
  const info = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (info.isDirectory()) return compareTrees(before, await treeOfDirectory(path), options);
  return store.scratch(async (directory) => {
    const blobs = await ScratchBlobs.in(directory);
    try {
      const descriptor = await readArchive(readLocalFile(path), blobs, zeroCounts());
      const after = treeOfArchive(await openDescriptor(descriptor, blobs));
      return await compareTrees(before, withoutRoot(after), options);
    } finally {
      await blobs.close();
    }
  });
}

const withoutRoot = (tree: ComparedTree): ComparedTree =>
  new Map([...tree].filter(([path]) => path !== ROOT));
