import {
  openMetadata,
  listOf,
  PACKAGE_LISTS,
  readRepomd,
  writeMetadata,
  type MetadataSink,
  type PackageList,
} from './metadata.js';
import { parseEntry, type PackageEntry } from './package-entry.js';
import { packagesOf } from './package-stream.js';
import type { RepoFiles } from './files.js';
import type { MetadataFile, Repomd } from './repomd.js';
import { planSteps, weave, type Step, type Strand, type Thread } from './weave.js';

/** The metadata of a set of packages, and the packages that it lists. */
export interface Listing {
  readonly files: RepoFiles;
  readonly repomd: Repomd;
  readonly entries: readonly PackageEntry[]; // in order
}

/** Reads the list of packages of a tree. Throws RepoError NO_REPOSITORY, BAD_METADATA. */
export async function readListing(files: RepoFiles): Promise<Listing> {
  const repomd = await readRepomd(files);
  const primary = listOf(repomd, 'primary', files.where);
  const entries: PackageEntry[] = [];
  for await (const fragment of packagesOf(openMetadata(files, primary), `${files.where}/${primary.href}`))
    entries.push(parseEntry(fragment, `${files.where}/${primary.href}`));
  return { files, repomd, entries };
}

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
 * Writes the package lists of the packages that are kept and the fresh ones, by location. What is kept is copied as it
 * stands; only the fresh packages were read. Throws RepoError BAD_METADATA.
 */
export async function writeMerged(merge: Merge, sink: MetadataSink): Promise<MetadataFile[]> {
  const steps = planSteps(
    strands(merge.old, merge.keeps),
    strands(merge.fresh, () => true),
  );
  const { edit } = merge;
  const write = (type: PackageList): Promise<MetadataFile> => {
    const threads = { old: thread(merge.old, type), fresh: thread(merge.fresh, type) };
    const editing = (fragment: Buffer, from: Step['from']): Buffer =>
      edit === undefined || from === 'old' || type !== 'primary' ? fragment : edit(fragment);
    return writeMetadata(type, weave(type, steps, threads, editing), sink, merge.timestamp);
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

function thread(listing: Listing | undefined, type: PackageList): Thread {
  if (listing === undefined) return { source: nothing(), where: 'nothing' };
  const file = listOf(listing.repomd, type, listing.files.where);
  return { source: openMetadata(listing.files, file), where: `${listing.files.where}/${file.href}` };
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
