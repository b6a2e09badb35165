import { decodeSnapshot, encodeSnapshot, type LayerSnapshot } from '../image/layer.js';
import { resolveLayers } from '../image/layer-path.js';
import { distOf } from '../image/layer-templates.js';
import { readLayer, type LayerNotes } from '../image/layer-read.js';
import type { Digest } from '../store/digest.js';
import { readBlob } from '../store/extents.js';
import type { BlobReader, BlobWriter } from '../store/types.js';
import type { GenerationInputs } from './types.js';

/** A layer as it was read from disk for a generation. */
export interface TakenLayer {
  readonly name: string;
  readonly digest: Digest; // of the blob that holds the snapshot
  readonly snapshot: LayerSnapshot;
}

/** Reads the layers that `spec` means from disk and stores them, highest first. `note` is told what is odd in them. */
export async function takeLayers(
  spec: string,
  searchDirs: readonly string[],
  writer: BlobWriter,
  note: LayerNotes = () => undefined,
): Promise<GenerationInputs['layers']> {
  const layers: { name: string; digest: Digest }[] = [];
  const directories = await resolveLayers(spec, searchDirs);
  for (const directory of directories) {
    const snapshot = await readLayer(directory, writer, note, distOf(directories));
    layers.push({ name: directory.name, digest: await writer.put(encodeSnapshot(snapshot)) });
  }
  return layers;
}

/** The layers of a generation, as they were taken. */
export async function takenLayers(
  { layers }: Pick<GenerationInputs, 'layers'>,
  blobs: BlobReader,
): Promise<TakenLayer[]> {
  const taken: TakenLayer[] = [];
  for (const { name, digest } of layers)
    taken.push({ name, digest, snapshot: decodeSnapshot(await readBlob(blobs, digest)) });
  return taken;
}
