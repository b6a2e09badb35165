import { ImageError } from '../../image/errors.js';
import type { TreeFile } from '../../image/layer-tree.js';
import { readText } from '../../repo/files.js';
import { REPOMD } from '../../repo/repomd.js';
import { parseTreeinfo, TREEINFO, withChecksum } from '../../repo/treeinfo.js';
import { sha256 } from '../../store/digest.js';
import { storeBlobArtifact } from '../artifacts.js';
import { ANSWER_FILE, menuPaths, placedArtifacts } from '../iso-places.js';
import type { NamedSnapshot } from '../layered-edits.js';
import type { Artifact, GenerationManifest } from '../types.js';
import { artifactFiles } from './artifact-files.js';
import type { TreeTools } from './edit-tree.js';

/** A file that a layer puts into the install tree, and which layer that is. */
export interface LaidFile extends TreeFile {
  readonly layer: string;
}

/** The files that `layers` (highest first) put into the install tree: of two with one path the higher layer's. */
export function filesOfLayers(layers: readonly NamedSnapshot[]): LaidFile[] {
  const files = new Map<string, LaidFile>();
  for (const { name, snapshot } of [...layers].reverse())
    for (const file of snapshot.tree ?? []) files.set(file.path, { ...file, layer: name });
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * `media` with `files` put in, which may be read once this returns; what .treeinfo lists checksums of keeps true ones.
 * Throws ImageError BAD_LAYER for a file that would stand in the way of what is made or served otherwise, RepoError
 * BAD_TREEINFO.
 */
export async function putFiles(
  media: readonly Artifact[],
  files: readonly LaidFile[],
  manifest: GenerationManifest,
  { blobs, writer }: Pick<TreeTools, 'blobs' | 'writer'>,
): Promise<readonly Artifact[]> {
  if (files.length === 0) return media;
  requireFree(media, files, manifest);
  const tree = new Map(media.map((artifact) => [artifact.path, artifact]));
  for (const { path, size, blob } of files) {
    const { artifact } = await storeBlobArtifact(path, blob ?? sha256(''), size, writer);
    tree.set(path, artifact);
  }
  await writer.seal();
  const text = await readText(artifactFiles([...tree.values()], '', blobs, 'tree'), TREEINFO);
  if (text !== undefined) {
    const updated = withChecksums(text, files, tree);
    if (updated !== text) {
      const bytes = Buffer.from(updated);
      const blob = await writer.put(bytes);
      tree.set(TREEINFO, (await storeBlobArtifact(TREEINFO, blob, bytes.length, writer)).artifact);
      await writer.seal();
    }
  }
  return [...tree.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** `.treeinfo` text with the checksums of `files`, where it lists them. */
function withChecksums(
  text: string,
  files: readonly LaidFile[],
  tree: ReadonlyMap<string, Artifact>,
): string {
  const own = files.find(({ path }) => path === TREEINFO);
  if (own === undefined && !/^\[checksums\]/m.test(text)) return text;
  const { checksummed } = parseTreeinfo(
    text,
    own === undefined ? TREEINFO : `layer ${own.layer}: ${TREEINFO}`,
  );
  return files
    .filter(({ path }) => checksummed.includes(path))
    .reduce((changed, { path }) => withChecksum(changed, path, tree.get(path)?.sha256 ?? ''), text);
}

function requireFree(
  media: readonly Artifact[],
  files: readonly LaidFile[],
  manifest: GenerationManifest,
): void {
  const taken = takenPaths(media, manifest);
  const standing = new Set([...media, ...files].map(({ path }) => path));
  const directories = new Map<string, string>();
  for (const path of [...standing, ...taken.keys()])
    for (const directory of directoriesOf(path)) directories.set(directory, path);
  for (const { path, layer } of files) {
    const reason =
      taken.get(path) ??
      directoriesOf(path)
        .map((directory) => taken.get(`${directory}/`))
        .find((why) => why !== undefined);
    const inside = directories.get(path);
    const below = directoriesOf(path).find((directory) => standing.has(directory) || taken.has(directory));
    const why =
      reason ??
      (inside !== undefined
        ? `is a directory of the tree (${inside}); give the file another name`
        : below !== undefined
          ? `lies below ${below}, which is a file; give it another place`
          : undefined);
    if (why !== undefined)
      throw new ImageError('BAD_LAYER', `layer ${layer}: ${path}, for the install tree, ${why}`);
  }
}

/** Paths (with a final slash: directories, with all below) that are made or served otherwise, and the mend. */
function takenPaths(media: readonly Artifact[], manifest: GenerationManifest): Map<string, string> {
  const taken = new Map<string, string>();
  for (const { path } of media) {
    if (path !== REPOMD && !path.endsWith(`/${REPOMD}`)) continue;
    const directory = path.slice(0, -'repomd.xml'.length);
    taken.set(
      directory,
      'is metadata of its repository, which is made of the packages; put packages into packages/',
    );
  }
  for (const { kind, isoPath } of placedArtifacts({ ...manifest, tree: [] })) {
    if (kind === 'files')
      taken.set(
        isoPath,
        'is a boot file of the osimage; change archives by overlay/ or image put, and import another kernel',
      );
  }
  const { disc } = manifest;
  const { isolinux, grub } = menuPaths(manifest);
  for (const path of [...isolinux, ...grub])
    taken.set(
      path,
      'is a loader’s menu, which is made of the boot entries; change these by bootargs and xenargs',
    );
  for (const path of [disc?.bios?.image.path, disc?.uefi?.image.path, disc?.catalog])
    if (path !== undefined) taken.set(path, 'boots the ISO, and is made with it; remove it from the layer');
  for (const path of ['.disk/', ...(disc === undefined ? ['boot/', 'isolinux/', 'EFI/'] : [])])
    taken.set(path, `lies in ${path}, which is made with the ISO; give it another place`);
  taken.set(ANSWER_FILE, 'is the node’s answer file on an ISO; use answerfile.liquid');
  return taken;
}

/** The directories above a path. */
function directoriesOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_part, at) => parts.slice(0, at + 1).join('/'));
}
