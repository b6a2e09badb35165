import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../errors.js';
import type { Built } from '../../repo/build.js';
import { checkBuilt } from '../../repo/check-build.js';
import { findBroken } from '../../repo/closure.js';
import { directorySink, placeFiles } from '../../repo/directory-sink.js';
import type { RepoFiles } from '../../repo/files.js';
import { keptFiles, readListing, writeMerged, type Listing } from '../../repo/merge.js';
import { PACKAGE_LISTS } from '../../repo/metadata.js';
import { nevra, type PackageEntry } from '../../repo/package-entry.js';
import { withFreshMetadata } from '../../repo/read-packages.js';
import { formatRepomd, REPOMD, type MetadataFile } from '../../repo/repomd.js';
import { layFile } from './scratch-files.js';

/** A repository that packages are added to. */
export interface Addition {
  readonly old: Listing;
  readonly dir: string; // holds the packages at `ranks` and `unlisted`, at their locations
  /** By location, a layer’s package: which layer it is of; 0 is the highest. */
  readonly ranks: ReadonlyMap<string, number>;
  readonly unlisted: readonly string[]; // packages of the old listing whose entries installers pass over
  readonly work: string; // for the new metadata; made
  readonly note: (line: string) => void;
}

/** New metadata, in a directory. */
export interface NewMetadata {
  readonly dir: string;
  readonly files: readonly MetadataFile[]; // those that were written, in `dir`
  readonly repomd: string;
  readonly time: number; // seconds: of the newest package and of the old metadata
  readonly added: readonly PackageEntry[]; // the layers’ packages that are listed
  readonly dropped: ReadonlySet<string>; // locations of old packages that are listed no more
}

/**
 * The metadata of a repository with packages added: each takes the place of those with its name and architecture in lower
 * layers and in the old listing. Throws RepoError BAD_PACKAGE, BAD_METADATA, UNRESOLVED, MISSING_TOOL.
 */
export async function addPackages(addition: Addition): Promise<NewMetadata> {
  const { dir, ranks, unlisted } = addition;
  // They lie in scratch here, where nobody can look.
  const named = (href: string): string =>
    ranks.has(href) ? `${path.posix.basename(href)} of a layer’s packages/` : `${href} of the media`;
  let hrefs = [...ranks.keys(), ...unlisted];
  for (;;) {
    const merge = async (files: RepoFiles): Promise<NewMetadata | undefined> => {
      const fresh = await readListing(files);
      const overridden = overriddenIn(fresh.entries, ranks);
      if (overridden.size === 0) return mergeInto(addition, fresh);
      hrefs = hrefs.filter((href) => !overridden.has(href));
      return undefined;
    };
    const made = await withFreshMetadata(dir, [...hrefs].sort(), merge, named);
    if (made !== undefined) return made;
  }
}

const identityOf = ({ name, arch }: PackageEntry): string => `${name}.${arch}`;

/** Locations of packages that a higher layer has one of the same name for. */
function overriddenIn(entries: readonly PackageEntry[], ranks: ReadonlyMap<string, number>): Set<string> {
  const highest = new Map<string, number>();
  const rankOf = ({ href }: PackageEntry): number => ranks.get(href) ?? Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const known = highest.get(identityOf(entry)) ?? Number.POSITIVE_INFINITY;
    highest.set(identityOf(entry), Math.min(rankOf(entry), known));
  }
  const overridden = entries.filter((entry) => rankOf(entry) > (highest.get(identityOf(entry)) ?? 0));
  return new Set(overridden.map(({ href }) => href));
}

async function mergeInto({ old, ranks, work, note }: Addition, fresh: Listing): Promise<NewMetadata> {
  const added = fresh.entries.filter(({ href }) => ranks.has(href));
  const identities = new Set(added.map(identityOf));
  const keeps = (entry: PackageEntry): boolean =>
    entry.checksum.type === 'sha256' && !identities.has(identityOf(entry)) && !ranks.has(entry.href);
  const revision = Number(old.repomd.revision);
  const time = Math.max(
    Number.isSafeInteger(revision) ? revision : 0,
    ...added.map(({ buildTime }) => buildTime),
  );
  const dir = path.join(work, 'new');
  await mkdir(dir, { recursive: true });
  const merge = { old, keeps, fresh, timestamp: time, edit: dateByBuild };
  const files = await writeMerged(merge, directorySink(dir));
  await placeFiles(dir, files);
  await writeFile(path.join(dir, REPOMD), formatRepomd({ revision: String(time), files }));
  const repomd = { revision: String(time), files: [...files, ...keptFiles(old.repomd)] };
  const packages = [...old.entries.filter(keeps), ...fresh.entries];
  const known = new Set(old.entries.map(({ name }) => name));
  const unknown = added.filter(({ name }) => !known.has(name));
  await check({ dir, repomd, packages, added: unknown }, old, path.join(work, 'old'), note);
  const listed = new Set(packages.map(({ href }) => href));
  const dropped = old.entries.filter((entry) => !keeps(entry) && identities.has(identityOf(entry)));
  for (const entry of dropped) note(`${nevra(entry)} is replaced by a layer’s package`);
  return {
    dir,
    files,
    repomd: formatRepomd(repomd),
    time,
    added,
    dropped: new Set(old.entries.map(({ href }) => href).filter((href) => !listed.has(href))),
  };
}

/** A package’s entry without the time of its file, which depends on when it was copied. */
function dateByBuild(fragment: Buffer): Buffer {
  return Buffer.from(
    fragment.toString('utf8').replace(/<time file="\d+" build="(\d+)"/, '<time file="$1" build="$1"'),
  );
}

/** Checks dependencies; what the media lacks itself is no fault of the layers. */
async function check(built: Built, old: Listing, work: string, note: (line: string) => void): Promise<void> {
  const request = { others: [], targets: [], note };
  try {
    await checkBuilt(built, old.files, request);
  } catch (error) {
    if (codeOf(error) !== 'UNRESOLVED') throw error;
    const known = new Set((await brokenBefore(old, work)).map((broken) => broken.package));
    if (known.size === 0) throw error;
    await checkBuilt(built, old.files, { ...request, known });
  }
}

async function brokenBefore(
  { files, repomd, entries }: Listing,
  work: string,
): ReturnType<typeof findBroken> {
  const lists = repomd.files.filter(({ type }) => PACKAGE_LISTS.some((list) => list === type));
  for (const { href } of lists) await layFile(work, href, await files.read(href));
  await layFile(work, REPOMD, [Buffer.from(formatRepomd({ ...repomd, files: lists }))]);
  return findBroken(work, entries);
}
