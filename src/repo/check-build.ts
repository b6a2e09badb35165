import type { Built } from './build.js';
import { findBroken } from './closure.js';
import { packagesInGroups, isGroups } from './comps.js';
import { RepoError } from './errors.js';
import { filesBelow, layered, type RepoFiles } from './files.js';
import { collect } from '../image/chunks.js';
import { openMetadata } from './metadata.js';
import { nevra } from './package-entry.js';
import { chainTo, readRelations, unrequired } from './relations.js';

export interface CheckRequest {
  /** Other repositories, by URL or directory, where dependencies may lie. */
  readonly others: readonly string[];
  /** Packages that are installed because they are named: by an answer, a kickstart, an installer. */
  readonly targets: readonly string[];
  /** Told of what is odd but no error, a line at a time. */
  readonly note: (line: string) => void;
  /** What an operator can do for a dependency that nothing provides, beside adding the packages. */
  readonly mend?: string;
  /** Packages that were broken before, and do not count. */
  readonly known?: ReadonlySet<string>;
}

/** What the XCP-ng installers install by itself, and all the rest through it. */
const INSTALLED = 'xcp-ng-deps';

/**
 * Checks new metadata before it is published: that every package finds what it needs, and that something asks for what was
 * added. `groups` is the tree that groups are read from. Throws RepoError UNRESOLVED, with the chain.
 */
export async function checkBuilt(built: Built, groups: RepoFiles, request: CheckRequest): Promise<void> {
  const broken = (await findBroken(built.dir, built.packages, request.others)).filter(
    (each) => request.known?.has(each.package) !== true,
  );
  if (broken.length === 0 && built.added.length === 0) return;
  const packages = await readRelations({ files: filesBelow(built.dir), repomd: built.repomd });
  const roots = new Set(
    [...request.targets, INSTALLED].filter((name) => built.packages.some((each) => each.name === name)),
  );
  if (broken.length > 0) {
    const told = broken.slice(0, 3).map((each) => {
      const chain = chainTo(packages, each, roots);
      const way = chain.length > 1 ? ` (${chain.join(' → ')})` : '';
      return `${each.package}${way} needs ${each.needs.join(' and ')}`;
    });
    const more = broken.length > told.length ? `; and ${broken.length - told.length} more` : '';
    throw new RepoError(
      'UNRESOLVED',
      `nothing provides what these need: ${told.join('; ')}${more}. Add the packages that provide it${request.mend === undefined ? '' : `, or ${request.mend}`}`,
    );
  }
  const wanted = new Set([...request.targets, ...(await groupMembers(built, groups))]);
  for (const entry of unrequired(packages, built.added, wanted)) {
    const base = roots.has(INSTALLED)
      ? `add it to ${INSTALLED} or to extra targets`
      : 'add it to a group or to extra targets';
    request.note(`nothing requires ${nevra(entry)}: ${base}`);
  }
}

async function groupMembers({ repomd, dir }: Built, groups: RepoFiles): Promise<Set<string>> {
  const file = repomd.files.find(isGroups);
  if (file === undefined) return new Set();
  const comps = await collect(openMetadata(layered(filesBelow(dir), groups), file));
  return packagesInGroups(comps.toString('utf8'));
}
