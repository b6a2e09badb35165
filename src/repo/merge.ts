import {
  openPieces,
  listOf,
  PACKAGE_LISTS,
  readRepomd,
  writeMetadata,
  type MetadataSink,
  type PackageList,
} from './metadata.js';
import { KeptPieces, KnownPieces, type Piece } from './gzip-pieces.js';
import { parseEntry, type PackageEntry } from './package-entry.js';
import { packageRuns } from './package-stream.js';
import type { RepoFiles } from './files.js';
import type { MetadataFile, Repomd } from './repomd.js';
import { planSteps, weave, type Step, type Strand, type Thread } from './weave.js';

/** The metadata of a set of packages, and the packages that it lists. */
export interface Listing {
  readonly files: RepoFiles;
  readonly repomd: Repomd;
  readonly entries: readonly PackageEntry[]; // in order
  /** The lists, where they were read already. */
  readonly pieces?: Readonly<Partial<Record<PackageList, AsyncIterable<Piece>>>>;
}

/**
 * Reads the list of packages of a tree; the lists of `keeping` are read at the same time and kept, for `writeMerged`, when
 * they are small. Throws RepoError NO_REPOSITORY, BAD_METADATA.
 */
export async function readListing(files: RepoFiles, keeping: readonly PackageList[] = []): Promise<Listing> {
  const repomd = await readRepomd(files);
  const primary = listOf(repomd, 'primary', files.where);
  const kept: Partial<Record<PackageList, KeptPieces>> = {};
  for (const type of keeping) {
    const file = repomd.files.findLast((each) => each.type === type);
    if (file?.size !== undefined && file.size <= SMALL) kept[type] = new KeptPieces(openPieces(files, file));
  }
  const pieces = kept.primary ?? openPieces(files, primary);
  const entries: PackageEntry[] = [];
  for await (const fragments of packageRuns(plainOf(pieces), `${files.where}/${primary.href}`))
    for (const fragment of fragments) entries.push(parseEntry(fragment, `${files.where}/${primary.href}`));
  return { files, repomd, entries, pieces: kept };
}

const SMALL = 4 * 1024 * 1024; // bytes, compressed

/** What new metadata is made of. */
export interface Merge {
  readonly old: Listing | undefined;
  readonly keeps: (entry: PackageEntry) => boolean; // of the old
  readonly fresh: Listing | undefined;
  readonly timestamp: number; // seconds
  /** Changes a fresh package’s primary metadata before it is written. */
  readonly edit?: (fragment: Buffer) => Buffer;
}

/**
 * Writes the package lists of the packages that are kept and the fresh ones, in the order of a list. What is kept is copied as it
 * stands; only the fresh packages were read. Throws RepoError BAD_METADATA.
 */
export async function writeMerged(merge: Merge, sink: MetadataSink): Promise<MetadataFile[]> {
  const steps = planSteps(
    strands(merge.old, merge.keeps),
    strands(merge.fresh, () => true),
  );
  const { edit } = merge;
  const write = (type: PackageList): Promise<MetadataFile> => {
    const known = new KnownPieces();
    const threads = { old: thread(merge.old, type, known), fresh: thread(merge.fresh, type) };
    const editing = (fragment: Buffer, from: Step['from']): Buffer =>
      edit === undefined || from === 'old' || type !== 'primary' ? fragment : edit(fragment);
    return writeMetadata(type, weave(type, steps, threads, editing), sink, merge.timestamp, { known });
  };
  return allOf(PACKAGE_LISTS.map(write));
}

/** The results in order, or the first failure when all have ended: nobody writes any more then. */
async function allOf<T>(running: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(running);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return Promise.all(running);
}

function strands(listing: Listing | undefined, keeps: (entry: PackageEntry) => boolean): Strand[] {
  return (listing?.entries ?? []).map((entry) => ({
    href: entry.href,
    pkgid: entry.checksum.value,
    keep: keeps(entry),
  }));
}

function thread(listing: Listing | undefined, type: PackageList, known = new KnownPieces()): Thread {
  if (listing === undefined) return { source: nothing(), where: 'nothing' };
  const file = listOf(listing.repomd, type, listing.files.where);
  const pieces = known.of(listing.pieces?.[type] ?? openPieces(listing.files, file));
  return { source: plainOf(pieces), where: `${listing.files.where}/${file.href}` };
}

async function* plainOf(pieces: AsyncIterable<Piece>): AsyncGenerator<Buffer> {
  for await (const { plain } of pieces) yield plain;
}

async function* nothing(): AsyncGenerator<Buffer> {
  // no packages
}

/** Derived from the package lists by other tools: out of date as soon as these change. */
const DERIVED = /^(?:primary|filelists|other)(?:_db|_zck)$|^(?:filelists-ext|prestodelta)/;

/** The files of `repomd` that stay when its package lists are written anew: groups, update notices, modules and so on. */
export function keptFiles(repomd: Repomd): MetadataFile[] {
  return repomd.files.filter(
    ({ type }) =>
      !PACKAGE_LISTS.some((list) => list === type) && !DERIVED.test(type) && !type.endsWith('_zck'),
  );
}
