import type { Broken } from './closure.js';
import { listOf, openMetadata } from './metadata.js';
import type { Listing } from './merge.js';
import { nevra, parseEntry, parseRelations, type PackageEntry, type Relations } from './package-entry.js';
import { packagesOf } from './package-stream.js';

/** A package of a repository with what it gives and needs. */
export interface RelatedPackage extends Relations {
  readonly entry: PackageEntry;
}

/** The packages of a repository with what each gives and needs. Throws RepoError BAD_METADATA. */
export async function readRelations({
  files,
  repomd,
}: Pick<Listing, 'files' | 'repomd'>): Promise<RelatedPackage[]> {
  const primary = listOf(repomd, 'primary', files.where);
  const where = `${files.where}/${primary.href}`;
  const related: RelatedPackage[] = [];
  for await (const fragment of packagesOf(openMetadata(files, primary), where))
    related.push({ entry: parseEntry(fragment, where), ...parseRelations(fragment) });
  return related;
}

/** Those of `added` that no other package requires and that `wanted` (targets, members of groups) does not name. */
export function unrequired(
  packages: readonly RelatedPackage[],
  added: readonly PackageEntry[],
  wanted: ReadonlySet<string>,
): PackageEntry[] {
  const requirers = new Map<string, Set<string>>();
  for (const { entry, requires } of packages) {
    for (const need of requires) {
      const names = requirers.get(need) ?? new Set();
      requirers.set(need, names.add(entry.name));
    }
  }
  const provided = new Map(packages.map(({ entry, provides }) => [entry.href, provides]));
  return added.filter((entry) => {
    if (wanted.has(entry.name)) return false;
    return (provided.get(entry.href) ?? []).every((name) =>
      [...(requirers.get(name) ?? [])].every((requirer) => requirer === entry.name),
    );
  });
}

/**
 * Why a broken package is wanted: the shortest way to it from a package that nothing requires, or from one of `roots`, as
 * names, the broken one last.
 */
export function chainTo(
  packages: readonly RelatedPackage[],
  broken: Broken,
  roots: ReadonlySet<string>,
): string[] {
  const providers = new Map<string, string[]>();
  for (const { entry, provides } of packages)
    for (const name of provides) providers.set(name, [...(providers.get(name) ?? []), entry.name]);
  const requirers = new Map<string, Set<string>>();
  for (const { entry, requires } of packages) {
    for (const provider of requires.flatMap((need) => providers.get(need) ?? [])) {
      if (provider === entry.name) continue;
      requirers.set(provider, (requirers.get(provider) ?? new Set()).add(entry.name));
    }
  }
  const start = packages.find(({ entry }) => nevra(entry) === broken.package)?.entry.name ?? broken.package;
  let ways: string[][] = [[start]];
  const seen = new Set([start]);
  let longest = ways[0] ?? [];
  while (ways.length > 0) {
    const next: string[][] = [];
    for (const way of ways) {
      const [head = ''] = way;
      const above = [...(requirers.get(head) ?? [])].sort();
      if (roots.has(head) || (roots.size === 0 && above.length === 0)) return way;
      longest = way;
      for (const name of above) {
        if (seen.has(name)) continue;
        seen.add(name);
        next.push([name, ...way]);
      }
    }
    ways = next;
  }
  return longest;
}
