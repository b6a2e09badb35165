import { REPOMD } from '../../repo/repomd.js';
import { verifyTree, type VerifyReport } from '../../repo/verify.js';
import type { BlobReader } from '../../store/types.js';
import type { GenerationManifest } from '../types.js';
import { artifactFiles } from './artifact-files.js';

/** A repository of an install tree, and what its installer would say of it. */
export interface VerifiedRepository extends VerifyReport {
  readonly path: string; // in the tree, without a final slash; empty for its top
}

/**
 * Checks every repository of RPM packages in an install tree as its installer would, each with the .treeinfo that lies beside it.
 * Throws RepoError MISSING_TOOL.
 */
export async function verifyRepositories(
  { family, tree }: Pick<GenerationManifest, 'family' | 'tree'>,
  blobs: BlobReader,
  onProgress?: (what: string, done: number, total: number) => void,
): Promise<VerifiedRepository[]> {
  const verified: VerifiedRepository[] = [];
  for (const { path: file } of tree) {
    if (file !== REPOMD && !file.endsWith(`/${REPOMD}`)) continue;
    const prefix = file.slice(0, -REPOMD.length);
    const path = prefix.replace(/\/$/, '');
    const files = artifactFiles(tree, prefix, blobs, path === '' ? 'tree' : `tree/${path}`);
    const report = await verifyTree({
      files,
      byDnf: family === 'el',
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    verified.push({ path, ...report });
  }
  return verified;
}
