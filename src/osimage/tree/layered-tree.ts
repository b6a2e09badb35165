import type { LayerSnapshot } from '../../image/layer.js';
import { createrepoVersion } from '../../repo/read-packages.js';
import type { Signer } from '../../repo/signing/signer.js';
import { sha256 } from '../../store/digest.js';
import type { GenerationInputs, GenerationManifest } from '../types.js';
import { editTree, mediaTree, type TreeTools } from './edit-tree.js';

/** Whether a layer changes the install tree. */
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
 * The install tree that `layers` (highest first) make of the media's; that of the current generation where they made it
 * already. Throws RepoError.
 */
export async function layeredTree(
  current: GenerationManifest,
  layers: readonly LayerSnapshot[],
  inputs: GenerationInputs,
  signing: Signing,
  tools: TreeTools,
): Promise<TreePart> {
  const media = mediaTree(current.tree, current.treeChanges);
  if (!havePackages(layers)) return { tree: media };
  const packages = layers.map((layer) => layer.packages ?? []);
  const made = sha256(JSON.stringify([inputs.media, inputs.repository, packages]));
  if (current.treeChanges?.made === made) return { tree: current.tree, treeChanges: current.treeChanges };
  const { tree, changes } = await editTree({ media, layers: packages, signer: signing?.signer, made }, tools);
  return { tree, treeChanges: changes };
}
