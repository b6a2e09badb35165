import { RepoError } from '../../repo/errors.js';
import { REPOMD } from '../../repo/repomd.js';
import type { Treeinfo } from '../../repo/treeinfo.js';
import type { Artifact } from '../types.js';

/**
 * Where in a tree the repository lies that packages are added to: empty for its top, else ending in a slash. The one that
 * .treeinfo means comes first, as Anaconda’s trees hold several. Throws RepoError NO_REPOSITORY.
 */
export function repositoryPrefix(tree: readonly Artifact[], treeinfo: Treeinfo | undefined): string {
  const prefixes = tree
    .filter(({ path }) => path === REPOMD || path.endsWith(`/${REPOMD}`))
    .map(({ path }) => path.slice(0, -REPOMD.length));
  const variant = treeinfo?.sections.get('general')?.get('variant') ?? '';
  const meant = treeinfo?.sections.get(`variant-${variant}`)?.get('repository');
  const wanted = ['', ...(meant === undefined || meant === '.' ? [] : [`${meant.replace(/\/+$/, '')}/`])];
  const found =
    wanted.find((prefix) => prefixes.includes(prefix)) ?? (prefixes.length === 1 ? prefixes[0] : undefined);
  if (found !== undefined) return found;
  throw new RepoError(
    'NO_REPOSITORY',
    prefixes.length === 0
      ? 'a layer has packages/, and this osimage has no repository of RPM packages to add them to; leave the layer out'
      : `a layer has packages/, and the tree holds ${prefixes.length} repositories (${prefixes.join(', ')}) without saying in .treeinfo which is meant`,
  );
}

/** The directory of a repository that packages are added to: where most of the present ones lie; empty for its top. */
export function packageDirectory(hrefs: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const href of hrefs) {
    // Anaconda’s trees sort packages into directories of one letter.
    const directory = href
      .split('/')
      .slice(0, -1)
      .join('/')
      .replace(/\/[0-9A-Za-z]$/, '');
    counts.set(directory, (counts.get(directory) ?? 0) + 1);
  }
  const [most] = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return most?.[0] ?? 'Packages';
}
