import { RepoError } from '../../repo/errors.js';
import { parseRepomd, REPOMD } from '../../repo/repomd.js';
import { readText, type SourceFile } from '../source/source.js';

const MAX_REPOMD = 16 * 1024 * 1024; // bytes

/**
 * What is wrong with the lists of the repositories among `files`, a line each: lists that cannot be read, or whose metadata is
 * not all there. Packages and checksums are left to `repo verify`.
 */
export async function brokenRepositories(files: readonly SourceFile[]): Promise<string[]> {
  const there = new Map(files.map((file) => [file.path, file]));
  const broken: string[] = [];
  for (const file of files) {
    if (file.path !== REPOMD && !file.path.endsWith(`/${REPOMD}`)) continue;
    const why = await problemOf(file, file.path.slice(0, -REPOMD.length), there);
    if (why !== undefined)
      broken.push(
        `${why}; it is imported as it is, and no installer takes packages from it; mend the media, and import it again`,
      );
  }
  return broken;
}

async function problemOf(
  repomd: SourceFile,
  prefix: string,
  there: ReadonlyMap<string, SourceFile>,
): Promise<string | undefined> {
  let listed;
  try {
    ({ files: listed } = parseRepomd(await readText(repomd, MAX_REPOMD), repomd.where));
  } catch (error) {
    if (error instanceof RepoError) return error.message;
    throw error;
  }
  if (!listed.some(({ type }) => type === 'primary')) return `${repomd.where}: lists no primary metadata`;
  for (const { type, href, size } of listed) {
    const file = there.get(prefix + href);
    if (file === undefined) return `${repomd.where}: lists ${href} (${type}), which is not there`;
    if (size !== undefined && size !== file.size)
      return `${file.where}: ${file.size} bytes instead of the ${size} that ${REPOMD} says`;
  }
  return undefined;
}
