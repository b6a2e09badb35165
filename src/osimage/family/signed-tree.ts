import { RepoError } from '../../repo/errors.js';
import { REPOMD, REPOMD_SIGNATURE } from '../../repo/repomd.js';
import { parseTreeinfo, TREEINFO } from '../../repo/treeinfo.js';
import { readText, type SourceFile } from '../source/source.js';

const MAX_TREEINFO = 1024 * 1024; // bytes

/**
 * What is missing of an install tree whose packages are there, a line each: what copies of a medium lose, and what the
 * installer looks for when the disk is wiped already (host-installer, repository.py).
 */
export async function missingOfTree(there: ReadonlyMap<string, SourceFile>): Promise<string[]> {
  const repomd = there.get(REPOMD);
  if (repomd === undefined) return [];
  const file = there.get(TREEINFO);
  const stops = 'the installer stops after it has wiped the disk';
  if (file === undefined)
    return [`${repomd.where}: there is no ${TREEINFO}, and ${stops}; copy it from the medium, it is hidden`];
  let keys: readonly string[];
  try {
    ({ keys } = parseTreeinfo(await readText(file, MAX_TREEINFO), file.where));
  } catch (error) {
    if (error instanceof RepoError) return [error.message];
    throw error;
  }
  const [key] = keys;
  if (key === undefined) return [];
  return [key, REPOMD_SIGNATURE]
    .filter((name) => !there.has(name))
    .map(
      (name) =>
        `${file.where}: lists a key, and ${name} is not there: ${stops}; copy it from the medium, or sign with: rackboot repo sign`,
    );
}
