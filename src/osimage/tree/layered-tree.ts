import type { LayerSnapshot } from '../../image/layer.js';
import type { NamedSnapshot } from '../layered-edits.js';
import { createrepoVersion } from '../../repo/read-packages.js';
import type { Signer } from '../../repo/signing/signer.js';
import { sha256, type Digest } from '../../store/digest.js';
import type { Artifact, GenerationInputs, GenerationManifest, TreeChanges } from '../types.js';
import { editTree, type TreeTools } from './edit-tree.js';
import { filesOfLayers, putFiles } from './layer-files.js';

/** Whether a layer changes the install tree's repository. */
export const havePackages = (layers: readonly LayerSnapshot[]): boolean =>
  layers.some(({ packages }) => (packages?.length ?? 0) > 0);

/** What a build says of who signs: a signer, nobody, or (undefined) whoever it was. */
export type Signing = { readonly signer: Signer | undefined } | undefined;

/** The inputs of the install tree that `layers` make; undefined where they leave it alone. */
export async function repositoryInputs(
  layers: readonly LayerSnapshot[],
  signing: Signing,
  current: GenerationInputs,
): Promise<GenerationInputs['repository']> {
  if (!havePackages(layers)) return undefined;
  if (signing === undefined) return current.repository;
  const reader = await createrepoVersion();
  return signing.signer === undefined ? { reader } : { reader, signer: signing.signer.identity };
}

/** What of a manifest says how its install tree is. */
export type TreePart = Pick<GenerationManifest, 'tree' | 'treeChanges'>;

/**
 * The install tree that `layers` (highest first) make of the media's: first their files, then their packages; that of
 * the current generation where they made it already. Throws ImageError BAD_LAYER, RepoError.
 */
export async function layeredTree(
  current: GenerationManifest,
  layers: readonly NamedSnapshot[],
  inputs: GenerationInputs,
  signing: Signing,
  tools: TreeTools,
): Promise<TreePart> {
  const media = mediaTree(current.tree, current.treeChanges);
  const snapshots = layers.map(({ snapshot }) => snapshot);
  const files = filesOfLayers(layers);
  const adds = havePackages(snapshots);
  if (!adds && files.length === 0) return { tree: media };
  const packages = snapshots.map((layer) => layer.packages ?? []);
  const laid = files.map(({ path, blob }) => [path, blob]);
  const made = sha256(
    JSON.stringify([inputs.media, inputs.repository, packages, ...(laid.length === 0 ? [] : [laid])]),
  );
  if (current.treeChanges?.made === made) return { tree: current.tree, treeChanges: current.treeChanges };
  const filled = await putFiles(media, files, current, tools);
  const tree = adds
    ? await editTree({ media: filled, layers: packages, signer: signing?.signer }, tools)
    : filled;
  return { tree, treeChanges: changesBetween(media, tree, made) };
}

/** What it takes to undo what made `tree` of `media`. */
function changesBetween(media: readonly Artifact[], tree: readonly Artifact[], made: Digest): TreeChanges {
  const before = new Map(media.map((artifact) => [artifact.path, artifact.sha256]));
  const after = new Map(tree.map((artifact) => [artifact.path, artifact.sha256]));
  return {
    made,
    added: tree.filter(({ path, sha256: is }) => before.get(path) !== is).map(({ path }) => path),
    replaced: media.filter(({ path, sha256: was }) => after.get(path) !== was),
  };
}

/** The install tree as it was imported, of a generation that layers changed it in. */
function mediaTree(tree: readonly Artifact[], changes: TreeChanges | undefined): readonly Artifact[] {
  if (changes === undefined) return tree;
  const added = new Set(changes.added);
  const kept = tree.filter((artifact) => !added.has(artifact.path));
  return [...kept, ...changes.replaced].sort((a, b) => (a.path < b.path ? -1 : 1));
}
