import { decodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import { pathToText, type ArchivePath } from '../image/cpio/path.js';
import type { SegmentCounts } from '../image/segment-writer.js';
import { spliceArchive, type ArchiveEdit } from '../image/splice.js';
import type { Digest } from '../store/digest.js';
import { readBlob } from '../store/extents.js';
import type { Store } from '../store/records.js';
import type { BlobReader, BlobWriter } from '../store/types.js';
import { adHocEdits } from './ad-hoc.js';
import { storeArchiveArtifact, type StoredArtifact } from './artifacts.js';
import { digestAhead, type DigestAhead } from './digest-ahead.js';
import { ENGINE } from './generation-id.js';
import { haveSameArchives, keptArchive } from './kept-archive.js';
import { layeredEdits } from './layered-edits.js';
import { findMainArchive } from './main-archive.js';
import { artifactMap } from './manifest.js';
import { servedName } from './served-name.js';
import type { TakenLayer } from './taken-layers.js';
import type { Artifact, GenerationInputs, GenerationManifest, PackedArchive } from './types.js';

/** A removal of a layer that removed nothing. */
export interface MissedRemoval {
  readonly from: string; // the layer
  readonly path: string; // pathToText
}

/** What building archives tells besides them; filled in. */
export interface ToldOfArchives {
  readonly counts: SegmentCounts;
  readonly missed: MissedRemoval[];
  readonly notes: string[];
}

/** An archive as an artifact, with the blob of its descriptor. */
export type BuiltArchive = StoredArtifact & { readonly descriptor: Digest };

/** The archives of a generation, by their names on the media: those of `manifest` as the layers and edits of `inputs` make them. */
export async function buildArchives(
  store: Store,
  writer: BlobWriter,
  told: ToldOfArchives,
  manifest: GenerationManifest,
  layers: readonly TakenLayer[],
  inputs: GenerationInputs,
): Promise<Map<string, BuiltArchive>> {
  const built = new Map<string, BuiltArchive>();
  const main = findMainArchive(manifest);
  const keeps = haveSameArchives(manifest.inputs, inputs);
  for (const [name, digest] of Object.entries(manifest.bases)) {
    const before = servedName(manifest.inputs, name);
    const kept = keeps ? await keptArchive(manifest, before, store.blobs) : undefined;
    if (kept !== undefined) {
      built.set(name, kept);
      continue;
    }
    const ahead = await hashAhead(store, manifest, before);
    try {
      const packed = inputs.packed?.[name];
      const path = servedName(inputs, name);
      const base = await readDescriptor(store.blobs, packed?.descriptor ?? digest);
      const layered =
        before === main && !holdsLayers(packed, inputs)
          ? await layeredEdits(base, layers, bootedKernels(manifest, before), store.blobs)
          : [];
      const edits: ArchiveEdit[] = [...layered, ...(await adHocEdits(inputs.edits, path, store.blobs))];
      const descriptor = await spliceArchive(base, edits, {
        blobs: store.blobs,
        writer,
        counts: told.counts,
        onMissed(edit) {
          if (edit.op === 'delete' && layered.includes(edit))
            told.missed.push({ from: edit.from, path: pathToText(edit.path) });
        },
        onCapabilityLost: (lost) => told.notes.push(capabilityNote(lost)),
        mtime: inputs.epoch,
        earlier: await currentDescriptors(store, manifest, before),
      });
      built.set(name, await storeArchiveArtifact(path, descriptor, writer, store.blobs, ahead));
    } finally {
      await ahead?.stop();
    }
  }
  return built;
}

/** What is said of a file whose content is new and which had file capabilities. */
export const capabilityNote = (path: ArchivePath): string =>
  `${pathToText(path)}: its file capabilities are gone with its content, as when a file is written to; its other extended attributes stay`;

/** Whether a packed archive was made of a directory that had just the layers of `inputs` in it. */
function holdsLayers(packed: PackedArchive | undefined, { layers }: GenerationInputs): boolean {
  if (packed?.layers.length !== layers.length) return false;
  return packed.layers.every((digest, at) => digest === layers[at]?.digest);
}

/** The kernels that are booted with the archive at `path`. */
function bootedKernels({ family, files, bootBase }: GenerationManifest, path: string): Artifact[] {
  const kernels = new Set(
    bootBase.filter(({ initrds }) => family === 'xcat' || initrds.includes(path)).map(({ kernel }) => kernel),
  );
  return files.filter((file) => kernels.has(file.path));
}

/** Begins to hash what the artifact at `path` is now: most of it stays. */
async function hashAhead(
  store: Store,
  { files }: GenerationManifest,
  path: string,
): Promise<DigestAhead | undefined> {
  const now = files.find((file) => file.path === path);
  return now === undefined ? undefined : digestAhead(await artifactMap(store.blobs, now), store.blobs);
}

async function currentDescriptors(
  store: Store,
  manifest: GenerationManifest,
  path: string,
): Promise<ArchiveDescriptor[]> {
  const digest = manifest.archives[path];
  // What another engine compressed is not what this one would.
  return digest === undefined || manifest.inputs.engine !== ENGINE
    ? []
    : [await readDescriptor(store.blobs, digest)];
}

/** An archive's descriptor, by its blob. */
export async function readDescriptor(blobs: BlobReader, digest: Digest): Promise<ArchiveDescriptor> {
  return decodeDescriptor(await readBlob(blobs, digest));
}
