import { RepoError } from '../../repo/errors.js';
import { readText, type RepoFiles } from '../../repo/files.js';
import { REPOMD } from '../../repo/repomd.js';
import { checkChecksums } from '../../repo/tree-checksums.js';
import { parseTreeinfo, TREEINFO } from '../../repo/treeinfo.js';
import { verifyTree, type VerifyReport } from '../../repo/verify.js';
import type { BlobReader } from '../../store/types.js';
import { servedTree } from '../manifest.js';
import type { GenerationManifest } from '../types.js';
import { artifactFiles } from './artifact-files.js';

/** A repository of an install tree, and what its installer would say of it. */
export interface VerifiedRepository extends VerifyReport {
  readonly path: string; // in the tree, without a final slash; empty for its top
}

/**
 * Checks every repository of RPM packages in an install tree as its installer would, each with the .treeinfo that lies beside it,
 * and the files that the top one lists checksums of; `checksumMend` says what mends one of those that is not its file’s.
 * Throws RepoError MISSING_TOOL.
 */
export async function verifyRepositories(
  manifest: Pick<GenerationManifest, 'family' | 'tree' | 'files'>,
  blobs: BlobReader,
  onProgress?: (what: string, done: number, total: number) => void,
  checksumMend?: string,
): Promise<VerifiedRepository[]> {
  const { family } = manifest;
  const tree = servedTree(manifest);
  const verified: VerifiedRepository[] = [];
  for (const { path: file } of manifest.tree) {
    if (file !== REPOMD && !file.endsWith(`/${REPOMD}`)) continue;
    const prefix = file.slice(0, -REPOMD.length);
    const path = prefix.replace(/\/$/, '');
    const files = artifactFiles(tree, prefix, blobs, path === '' ? 'tree' : `tree/${path}`);
    const report = await verifyTree({
      files,
      byDnf: family === 'el',
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(checksumMend === undefined ? {} : { checksumMend }),
    });
    verified.push({ path, ...report });
  }
  if (verified.some(({ path }) => path === '')) return verified;
  const { findings, notes } = await checkedAtTop(artifactFiles(tree, '', blobs, 'tree'), checksumMend);
  const [first = NO_REPOSITORY, ...others] = verified;
  if (findings.length + notes.length === 0) return verified;
  return [
    { ...first, findings: [...findings, ...first.findings], notes: [...notes, ...first.notes] },
    ...others,
  ];
}

const NO_REPOSITORY: VerifiedRepository = {
  ...{ path: '', packages: 0, leftOut: 0, bytes: 0 },
  ...{ keys: [], findings: [], notes: [] },
};

/** What is wrong with, and to be known of, the .treeinfo of a tree whose repositories lie below its top, as Anaconda’s do. */
async function checkedAtTop(
  files: RepoFiles,
  mend: string | undefined,
): Promise<Pick<VerifyReport, 'findings' | 'notes'>> {
  const text = await readText(files, TREEINFO);
  if (text === undefined) return { findings: [], notes: [] };
  try {
    return await checkChecksums(files, parseTreeinfo(text, `${files.where}/${TREEINFO}`), mend);
  } catch (error) {
    if (error instanceof RepoError) return { findings: [error.message], notes: [] };
    throw error;
  }
}
