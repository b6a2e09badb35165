import { RepoError } from '../../repo/errors.js';
import { readText } from '../../repo/files.js';
import { parseTreeinfo, TREEINFO, withChecksum, withoutChecksum } from '../../repo/treeinfo.js';
import { sha256, type Digest } from '../../store/digest.js';
import type { BlobReader, BlobWriter } from '../../store/types.js';
import { storeBlobArtifact } from '../artifacts.js';
import { keepsMediaPaths } from '../family/layout.js';
import type { Artifact, GenerationManifest } from '../types.js';
import { artifactFiles } from './artifact-files.js';

/** What of a generation says what its tree serves. */
export type ServedParts = Pick<GenerationManifest, 'family' | 'files' | 'archives' | 'tree' | 'disc'>;

/**
 * A `.treeinfo` in place of the one in the tree, with true checksums of the archives that the tree serves: neither those that
 * were changed nor those that were stored in segments are the vendor's bytes. It lists none of the images that boot an ISO,
 * which are made anew for each. Undefined where it tells the truth, or nothing.
 */
export async function trueTreeinfo(
  { family, files, archives, tree, disc }: ServedParts,
  blobs: BlobReader,
  writer: BlobWriter,
): Promise<{ readonly artifact: Artifact; readonly blobs: readonly Digest[] } | undefined> {
  if (!keepsMediaPaths(family)) return undefined;
  const text = await readText(artifactFiles(tree, '', blobs, 'tree'), TREEINFO);
  const listed = text === undefined ? [] : checksummedIn(text);
  if (text === undefined || listed.length === 0) return undefined;
  const counted = files
    .filter(({ path }) => archives[path] !== undefined && listed.includes(path))
    .reduce((changed, { path, sha256: digest }) => withChecksum(changed, path, digest), text);
  const updated = [disc?.bios?.image.path, disc?.uefi?.image.path]
    .filter((path) => path !== undefined)
    .reduce(withoutChecksum, counted);
  if (updated === text) return undefined;
  const bytes = Buffer.from(updated);
  return storeBlobArtifact(TREEINFO, await writer.put(bytes), bytes.length, writer);
}

function checksummedIn(text: string): readonly string[] {
  try {
    return parseTreeinfo(text, TREEINFO).checksummed;
  } catch (error) {
    if (error instanceof RepoError) return []; // an import tells what is wrong with it
    throw error;
  }
}

/** The tree with another `.treeinfo`, and what it takes to undo that. */
export function withTreeinfo(
  { tree, treeChanges }: Pick<GenerationManifest, 'tree' | 'treeChanges'>,
  treeinfo: Artifact,
): Pick<GenerationManifest, 'tree' | 'treeChanges'> {
  const before = tree.find(({ path }) => path === TREEINFO);
  const changes = treeChanges ?? { made: sha256(''), added: [], replaced: [] };
  return {
    tree: tree.map((artifact) => (artifact === before ? treeinfo : artifact)),
    treeChanges: changes.added.includes(TREEINFO)
      ? changes
      : {
          ...changes,
          added: [...changes.added, TREEINFO],
          replaced: [...changes.replaced, ...(before === undefined ? [] : [before])],
        },
  };
}
