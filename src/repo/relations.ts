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
    return (provided.get(entry.href) ?? []).every((name) => {
      const by = requirers.get(name);
      return by === undefined || by.size === (by.has(entry.name) ? 1 : 0);
    });
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
  const above = requirersOf(packages);
  const start = packages.find(({ entry }) => nevra(entry) === broken.package)?.entry.name ?? broken.package;
  let ways: Way[] = [{ head: start }];
  const seen = new Set([start]);
  let longest: Way = { head: start };
  while (ways.length > 0) {
    const next: Way[] = [];
    for (const way of ways) {
      const { isRequired, requirers } = above(way.head);
      if (roots.has(way.head) || (roots.size === 0 && !isRequired)) return namesOf(way);
      longest = way;
      for (const head of requirers.filter((name) => !seen.has(name)).sort()) {
        seen.add(head);
        next.push({ head, below: way });
      }
    }
    ways = next;
  }
  return namesOf(longest);
}

/** A way down from a package to the broken one, each step to a package that the one before requires. */
interface Way {
  readonly head: string;
  readonly below?: Way;
}

function namesOf(way: Way): string[] {
  const names: string[] = [];
  for (let step: Way | undefined = way; step !== undefined; step = step.below) names.push(step.head);
  return names;
}

/**
 * Answers for the name of a package which others require it. What requires one capability is given out once: whoever asks
 * for another provider of it has had them.
 */
function requirersOf(
  packages: readonly RelatedPackage[],
): (name: string) => { readonly isRequired: boolean; readonly requirers: readonly string[] } {
  const provided = new Map<string, string[]>();
  const requirers = new Map<string, Set<string>>();
  for (const { entry, provides, requires } of packages) {
    const mine = provided.get(entry.name) ?? [];
    for (const name of provides) mine.push(name);
    provided.set(entry.name, mine);
    for (const need of requires) requirers.set(need, (requirers.get(need) ?? new Set()).add(entry.name));
  }
  const given = new Set<string>();
  return (name) => {
    const found = new Set<string>();
    let isRequired = false;
    for (const need of provided.get(name) ?? []) {
      const by = requirers.get(need);
      if (by === undefined) continue;
      isRequired ||= by.size > (by.has(name) ? 1 : 0);
      if (given.has(need)) continue;
      given.add(need);
      for (const other of by) if (other !== name) found.add(other);
    }
    return { isRequired, requirers: [...found] };
  };
}
