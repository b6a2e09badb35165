import { collect } from '../../image/chunks.js';
import { sha256, type Digest } from '../../store/digest.js';
import { resolvePackages, archOf } from '../closure.js';
import { RepoError } from '../errors.js';
import { readText, type RepoFiles } from '../files.js';
import { readListing, type Listing } from '../merge.js';
import { isInside, REPOMD, REPOMD_SIGNATURE, sha256Of } from '../repomd.js';
import { parseTreeinfo, TREEINFO, type Treeinfo } from '../treeinfo.js';
import type { MirrorSource } from './source.js';

/** A file that a mirror is to have. */
export interface WantedFile {
  readonly href: string;
  readonly size?: number; // bytes, where metadata states it
  readonly sha256?: Digest; // where metadata states it
  /** In which order: a tree is whole at any time when what lists files comes after them. */
  readonly phase: 'package' | 'other' | 'metadata' | 'index';
}

export interface MirrorPlan {
  readonly repositories: readonly string[]; // prefixes: empty, or ending in a slash
  readonly files: readonly WantedFile[]; // in order of the paths
  readonly leftOut: number; // packages that are listed and excluded
  readonly unlisted: number; // packages that no metadata lists
}

export interface PlanRequest {
  readonly source: MirrorSource;
  /** Whether a file is excluded, by its path. */
  readonly leavesOut: (href: string) => boolean;
  /** Packages that are mirrored with all they need, excluded or not. */
  readonly extraPackages: readonly string[];
}

/**
 * What a mirror of `source` is to hold: the packages that its metadata lists, that metadata, and the other files of the
 * tree. Throws RepoError BAD_SOURCE when there is no repository in it, BAD_METADATA, UNRESOLVED, FETCH_FAILED.
 */
export async function planMirror(request: PlanRequest): Promise<MirrorPlan> {
  const { source, leavesOut } = request;
  const listed = await source.list(leavesOut);
  const treeinfo = await readTreeinfo(source.files);
  const prefixes =
    listed === undefined ? await namedRepositories(source.files, treeinfo) : repositoriesIn(listed);
  if (prefixes.length === 0) {
    throw new RepoError(
      'BAD_SOURCE',
      `${source.files.where}: no package repository in it: there is no ${REPOMD}, and ${listed === undefined ? 'the server lists no directories' : 'none below'}; name the directory that holds repodata/`,
    );
  }
  const listings = new Map<string, Listing>();
  const repomds = new Map<string, Digest>();
  for (const prefix of prefixes) {
    const files = below(source.files, prefix);
    const repomd = await collect((await files.read(REPOMD)) ?? once());
    repomds.set(prefix, sha256(repomd));
    // Read once: what is listed and what lists it are of one moment, also when the source is just changing.
    const read = (href: string): ReturnType<RepoFiles['read']> =>
      href === REPOMD ? Promise.resolve(once(repomd)) : files.read(href);
    listings.set(prefix, await readListing({ where: files.where, read }));
  }
  const extra = await extraHrefs(request, listings);
  const files = new Map<string, WantedFile>();
  const want = (file: WantedFile): void => void files.set(file.href, file);
  let leftOut = 0;
  const packages = new Set<string>();
  for (const [prefix, { repomd, entries }] of listings) {
    for (const { href, size, checksum } of entries) {
      packages.add(prefix + href);
      if (leavesOut(prefix + href) && !extra.has(prefix + href)) leftOut++;
      else want({ href: prefix + href, size, ...digestOf(sha256Of(checksum)), phase: 'package' });
    }
    for (const { href, size, checksum } of repomd.files)
      want({
        href: prefix + href,
        ...(size === undefined ? {} : { size }),
        ...digestOf(sha256Of(checksum)),
        phase: 'metadata',
      });
    want({ href: prefix + REPOMD, ...digestOf(repomds.get(prefix)), phase: 'index' });
    for (const name of [REPOMD_SIGNATURE, `${REPOMD}.key`]) want({ href: prefix + name, phase: 'index' });
  }
  const isMetadata = (href: string): boolean =>
    prefixes.some((prefix) => href.startsWith(`${prefix}repodata/`));
  const others = (listed ?? namedFiles(treeinfo)).filter(
    (href) => !files.has(href) && !packages.has(href) && !isMetadata(href) && !leavesOut(href),
  );
  for (const href of others)
    if (!href.endsWith('.rpm')) want({ href, phase: href === TREEINFO ? 'index' : 'other' });
  return {
    repositories: prefixes,
    files: [...files.values()].sort((a, b) => (a.href < b.href ? -1 : 1)),
    leftOut,
    unlisted: others.filter((href) => href.endsWith('.rpm')).length,
  };
}

async function* once(...chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

function digestOf(digest: Digest | undefined): { readonly sha256?: Digest } {
  return digest === undefined ? {} : { sha256: digest };
}

/** The part of a tree below a prefix. */
function below(files: RepoFiles, prefix: string): RepoFiles {
  const where = prefix === '' ? files.where : `${files.where}/${prefix.slice(0, -1)}`;
  return { where, read: (href) => files.read(prefix + href) };
}

async function readTreeinfo(files: RepoFiles): Promise<Treeinfo | undefined> {
  const text = await readText(files, TREEINFO);
  return text === undefined ? undefined : parseTreeinfo(text, `${files.where}/${TREEINFO}`);
}

function repositoriesIn(listed: readonly string[]): string[] {
  return listed
    .filter((href) => href === REPOMD || href.endsWith(`/${REPOMD}`))
    .map((href) => href.slice(0, -REPOMD.length))
    .sort();
}

/** The repositories of a tree that cannot be listed: the one at its top, and those that .treeinfo names. */
async function namedRepositories(files: RepoFiles, treeinfo: Treeinfo | undefined): Promise<string[]> {
  const names = [...(treeinfo?.sections ?? [])].flatMap(([section, values]) =>
    section.startsWith('variant-') ? [values.get('repository') ?? ''] : [],
  );
  const found: string[] = [];
  for (const name of new Set(['', ...names])) {
    const prefix = name === '' || name === '.' ? '' : `${name.replace(/^\.?\/|\/+$/g, '')}/`;
    if (!found.includes(prefix) && (await readText(files, prefix + REPOMD)) !== undefined) found.push(prefix);
  }
  return found.sort();
}

/** The files of a tree that .treeinfo names: itself, keys, boot files, and those it has checksums of. */
function namedFiles(treeinfo: Treeinfo | undefined): string[] {
  if (treeinfo === undefined) return [];
  const names = new Set([TREEINFO, ...treeinfo.keys, ...treeinfo.checksummed]);
  for (const [section, values] of treeinfo.sections)
    if (section.startsWith('images-')) for (const name of values.values()) names.add(name);
  return [...names].filter(isInside).sort();
}

/** Locations of the extra packages and of all they need, as dnf finds them. */
async function extraHrefs(
  { source, extraPackages }: PlanRequest,
  listings: ReadonlyMap<string, Listing>,
): Promise<Set<string>> {
  if (extraPackages.length === 0) return new Set();
  const entries = [...listings.values()].flatMap((listing) => listing.entries);
  const urls = [...listings.keys()].map((prefix) =>
    source.urlOf(prefix.replace(/\/$/, '')).replace(/\/+$/, ''),
  );
  const resolved = await resolvePackages(extraPackages, urls, archOf(entries));
  const wanted = new Set(resolved.map(comparable));
  const all = [...listings].flatMap(([prefix, listing]) => listing.entries.map(({ href }) => prefix + href));
  return new Set(all.filter((href) => wanted.has(comparable(source.urlOf(href)))));
}

/** A URL without what programs write in different ways: credentials, and the encoding of its path. */
function comparable(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${decodeURIComponent(pathname).replace(/\/{2,}/g, '/')}`;
}
