import { statSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../errors.js';
import { StoreError } from '../store/errors.js';
import { sweepScratch, withScratch } from '../store/scratch.js';
import { directorySink, placeFiles } from './directory-sink.js';
import { RepoError } from './errors.js';
import { filesBelow, noAccess } from './files.js';
import { findPackages, type FoundPackage } from './found-packages.js';
import { keptFiles, readListing, writeMerged, type Listing } from './merge.js';
import { PACKAGE_LISTS } from './metadata.js';
import { inListingOrder, type PackageEntry } from './package-entry.js';
import { startReading, withFreshMetadata, type Reading } from './read-packages.js';
import { formatRepomd, REPOMD, REPOMD_SIGNATURE, type MetadataFile, type Repomd } from './repomd.js';

export interface BuildRequest {
  readonly dir: string;
  /** Reads every package, whatever the old metadata says. */
  readonly full?: boolean;
  /** The revision that repomd.xml states, and with it the time of its files when it is a number; without it the time now. */
  readonly revision?: string;
  /** A comps.xml whose groups take the place of those there are. */
  readonly comps?: string;
  /** Called before anything is published, with a directory that holds the new metadata; what it throws ends the build. */
  readonly check?: (built: Built) => Promise<void>;
}

/** New metadata that is not published yet. */
export interface Built {
  readonly dir: string; // a repository without packages, for a solver
  readonly repomd: Repomd;
  readonly packages: readonly PackageEntry[]; // all, in the order of a list
  readonly added: readonly PackageEntry[]; // those whose names the old metadata did not list; none where there was none
}

export interface BuildReport {
  readonly packages: readonly PackageEntry[]; // all, in the order of a list
  readonly read: readonly string[]; // locations of the packages that were read
  readonly gone: readonly string[]; // locations of packages that were listed and are no more
  readonly wasSigned: boolean; // the old metadata’s signature was removed with it
  readonly notes: readonly string[];
}

/**
 * Makes the metadata of the packages below a directory, as the installers accept it. Packages that the old metadata lists
 * with their present size and time are not read again; groups, update notices and other files of it stay. A client sees the
 * old repository or the new one. Throws RepoError NO_ACCESS, BAD_PACKAGE, BAD_METADATA, MISSING_TOOL.
 */
export async function buildRepository(request: BuildRequest): Promise<BuildReport> {
  const { dir } = request;
  const notes: string[] = [];
  const found = await findPackages(dir);
  const early = request.full === true ? undefined : readEarly(dir, found);
  try {
    const old = await oldListing(dir, notes);
    try {
      return await build(request, found, old, notes, early);
    } catch (error) {
      if (codeOf(error) !== 'BAD_METADATA' || old === undefined || request.full === true) throw error;
      notes.push(
        `the old metadata cannot be built on, so every package was read: ${(error as RepoError).message}`,
      );
      return await build({ ...request, full: true }, found, undefined, notes);
    }
  } finally {
    await early?.end();
  }
}

/**
 * Begins to read what came since the old metadata was made, while that is read: most likely these are the packages that it
 * does not list. Undefined for none and for many, whose reading in vain would cost more.
 */
function readEarly(dir: string, found: ReadonlyMap<string, FoundPackage>): Reading | undefined {
  const made = statSync(path.join(dir, REPOMD), { throwIfNoEntry: false });
  if (made === undefined) return undefined;
  const hrefs = [...found].filter(([, { changed }]) => changed >= made.mtimeMs).map(([href]) => href);
  return hrefs.length === 0 || hrefs.length > FEW ? undefined : startReading(dir, hrefs);
}

const FEW = 100; // packages

async function oldListing(dir: string, notes: string[]): Promise<Listing | undefined> {
  try {
    return await readListing(filesBelow(dir), PACKAGE_LISTS);
  } catch (error) {
    if (codeOf(error) === 'NO_REPOSITORY') return undefined;
    if (codeOf(error) !== 'BAD_METADATA') throw error;
    notes.push(`the old metadata cannot be read, so every package was read: ${(error as RepoError).message}`);
    return undefined;
  }
}

async function build(
  request: BuildRequest,
  found: ReadonlyMap<string, FoundPackage>,
  old: Listing | undefined,
  notes: readonly string[],
  early?: Reading,
): Promise<BuildReport> {
  const { dir } = request;
  const known = new Map((old?.entries ?? []).map((entry) => [entry.href, entry]));
  const isCurrent = (entry: PackageEntry): boolean => {
    const file = found.get(entry.href);
    return (
      request.full !== true &&
      entry.checksum.type === 'sha256' &&
      known.get(entry.href) === entry &&
      file?.size === entry.size &&
      file.time === entry.fileTime
    );
  };
  const read = [...found.keys()].filter((href) => {
    const entry = known.get(href);
    return entry === undefined || !isCurrent(entry);
  });
  const epoch = Number(request.revision);
  const timestamp = Number.isInteger(epoch) ? epoch : Math.floor(Date.now() / 1000);
  const repodata = path.join(dir, 'repodata');
  await mkdir(repodata, { recursive: true }).catch((error: unknown) => {
    throw noAccess(repodata, error);
  });
  const place = async (work: string): Promise<BuildReport> => {
    const sink = directorySink(work);
    const merged = async (fresh?: Listing): Promise<{ files: MetadataFile[]; entries: PackageEntry[] }> => {
      const files = await writeMerged({ old, keeps: isCurrent, fresh, timestamp }, sink);
      const kept = (old?.entries ?? []).filter(isCurrent);
      return { files, entries: [...kept, ...(fresh?.entries ?? [])].sort(byLocation) };
    };
    const { files, entries } =
      read.length === 0
        ? await merged()
        : early !== undefined && isSame(early.hrefs, read)
          ? await merged(await readListing(await early.metadata, PACKAGE_LISTS))
          : await withFreshMetadata(dir, read, async (fresh) =>
              merged(await readListing(fresh, PACKAGE_LISTS)),
            );
    requireAll(entries, found, dir);
    const kept = old === undefined ? [] : keptFiles(old.repomd);
    let others = kept;
    let comps: readonly MetadataFile[] = [];
    if (request.comps !== undefined) {
      const { isGroups, writeComps } = await import('./comps.js'); // and a parser, which few builds need
      comps = await writeComps(await readComps(request.comps), request.comps, sink, timestamp);
      others = [...comps, ...kept.filter((file) => !isGroups(file))];
    }
    const revision = request.revision ?? String(timestamp);
    await placeFiles(work, [...files, ...comps]);
    if (request.check !== undefined) {
      const names = new Set((old?.entries ?? []).map(({ name }) => name));
      const added = old === undefined ? [] : entries.filter(({ name }) => !names.has(name));
      await writeDurably(path.join(work, REPOMD), formatRepomd({ revision, files }));
      await request.check({
        dir: work,
        repomd: { revision, files: [...files, ...others] },
        packages: entries,
        added,
      });
    }
    const wasSigned = await publish(dir, work, [...files, ...others], revision);
    await removeStale(dir, old?.repomd.files ?? [], [...files, ...others]);
    const gone = [...known.keys()].filter((href) => !found.has(href));
    return { packages: entries, read, gone, wasSigned, notes };
  };
  try {
    await sweepScratch(repodata, Date.now(), BUILDING);
    return await withScratch(repodata, place, BUILDING);
  } catch (error) {
    throw refusedBelow(repodata, error);
  }
}

/** How directories of metadata begin that is not published yet; those of a build that was killed are swept by the next one. */
const BUILDING = '.building-';

/** What the file system or the scratch directory refused as a RepoError that names it, anything else as it is. */
function refusedBelow(dir: string, error: unknown): unknown {
  if (error instanceof StoreError) return noAccess(dir, error);
  if (!(error instanceof Error && 'syscall' in error)) return error;
  return noAccess('path' in error && typeof error.path === 'string' ? error.path : dir, error);
}

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((href, at) => href === other[at]);

const byLocation = (a: PackageEntry, b: PackageEntry): number => inListingOrder(a.href, b.href);

async function readComps(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw noAccess(file, error);
  });
}

/** createrepo_c passes over what it cannot read, with a warning. */
function requireAll(
  entries: readonly PackageEntry[],
  found: ReadonlyMap<string, FoundPackage>,
  dir: string,
): void {
  const listed = new Set(entries.map(({ href }) => href));
  const missing = [...found.keys()].find((href) => !listed.has(href));
  if (missing === undefined) return;
  throw new RepoError(
    'BAD_PACKAGE',
    `${path.join(dir, missing)}: not an RPM that can be read; fetch it again or remove it`,
  );
}

/** Puts new metadata in place, repomd.xml last; says whether there was a signature, which is gone then. */
async function publish(
  dir: string,
  work: string,
  files: readonly MetadataFile[],
  revision: string,
): Promise<boolean> {
  try {
    await Promise.all(
      files.map(({ href }) =>
        rename(path.join(work, href), path.join(dir, href)).catch((error: unknown) => {
          if (codeOf(error) !== 'ENOENT') throw error; // one that stays
        }),
      ),
    );
    const signature = path.join(dir, REPOMD_SIGNATURE);
    const wasSigned = await stat(signature).then(
      () => true,
      () => false,
    );
    const made = path.join(work, 'repomd.xml');
    await writeDurably(made, formatRepomd({ revision, files }));
    await rename(made, path.join(dir, REPOMD));
    await rm(signature, { force: true });
    return wasSigned;
  } catch (error) {
    throw noAccess(path.join(dir, 'repodata'), error);
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes the files that the old repomd.xml listed and the new one does not. */
async function removeStale(
  dir: string,
  old: readonly MetadataFile[],
  files: readonly MetadataFile[],
): Promise<void> {
  const current = new Set(files.map(({ href }) => href));
  const stale = old.filter(({ href }) => !current.has(href));
  await Promise.all(stale.map(({ href }) => rm(path.join(dir, href), { force: true })));
}
