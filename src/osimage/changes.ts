import { lstat } from 'node:fs/promises';
import { codeOf } from '../errors.js';
import { requireFileSize } from '../image/cpio/header.js';
import { pathToText, type ArchivePath } from '../image/cpio/path.js';
import type { LayerNotes } from '../image/layer-read.js';
import { readLocalFile } from '../image/local-file.js';
import type { Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { addAdHocEdit } from './ad-hoc.js';
import type { CurrentGeneration } from './build.js';
import { archiveDigest, openArchive } from './contents.js';
import { OsimageError } from './errors.js';
import { takeLayers } from './taken-layers.js';
import type { AdHocEdit, GenerationInputs } from './types.js';

const S_IFREG = 0o100000;

/** Which archive a change is to, as it is recorded. */
export interface EditPlace {
  readonly archive: string;
  readonly part?: number;
}

/** A local file and where it goes in the image. */
export interface LocalFile {
  readonly local: string;
  readonly path: ArchivePath;
}

/** The edits of `current` with local files put at `place`, stored. Throws OsimageError BAD_SOURCE. */
export async function putFiles(
  current: CurrentGeneration,
  place: EditPlace,
  files: readonly LocalFile[],
  options: { readonly mode?: number }, // permission bits, instead of the files' own
  writer: BlobWriter,
): Promise<readonly AdHocEdit[]> {
  archiveDigest(current.manifest, place.archive);
  let { edits } = current.manifest.inputs;
  for (const file of files) edits = addAdHocEdit(edits, await putEdit(file, place, options.mode, writer));
  return edits;
}

async function putEdit(
  { local, path }: LocalFile,
  place: EditPlace,
  mode: number | undefined,
  writer: BlobWriter,
): Promise<AdHocEdit> {
  const info = await lstat(local).catch((error: unknown) => {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: ${codeOf(error) === 'ENOENT' ? 'no such file' : `cannot be read (${codeOf(error) ?? 'unknown error'})`}; give a local file before the colon`,
    );
  });
  if (!info.isFile()) {
    throw new OsimageError(
      'BAD_SOURCE',
      `${local}: put takes regular files; for directories and links make a layer with an overlay and build with it`,
    );
  }
  requireFileSize(info.size, pathToText(path));
  const { digest, size } = await writer.putStream(readLocalFile(local));
  return {
    op: 'put',
    ...place,
    path: pathToText(path),
    blob: digest,
    size,
    mode: S_IFREG | (mode ?? info.mode & 0o7777),
  };
}

/** What is done to a path that the image holds. */
type PathEdit = { readonly op: 'delete' } | { readonly op: 'chmod'; readonly mode: number };

/** The edits of `current` with `change` made to `paths`, each of which must stand in the image. Throws ImageError. */
export async function changePaths(
  store: Store,
  current: CurrentGeneration,
  place: EditPlace,
  paths: readonly ArchivePath[],
  change: PathEdit,
): Promise<readonly AdHocEdit[]> {
  const { tree } = await openArchive(store, current.manifest, place.archive, place.part);
  let { edits } = current.manifest.inputs;
  for (const path of paths) {
    tree.reach(path);
    edits = addAdHocEdit(edits, { ...change, ...place, path: pathToText(path) });
  }
  return edits;
}

/** What a build with layers is asked for. */
export interface LayerChange {
  readonly layerSpec: string | undefined; // without it the one of the current generation
  readonly searchDirs: readonly string[];
  readonly settings: Readonly<Record<string, string>>; // added to those there are; an empty value takes one away
  readonly discardEdits: boolean;
}

/** `inputs` with the layers read again and the settings changed. `note` is told what is odd in the layers. */
export async function relayeredInputs(
  inputs: GenerationInputs,
  change: LayerChange,
  writer: BlobWriter,
  note: LayerNotes,
): Promise<GenerationInputs> {
  const layerSpec = change.layerSpec ?? inputs.layerSpec;
  const settings = Object.entries({ ...inputs.settings, ...change.settings });
  return {
    ...inputs,
    layerSpec,
    layers: await takeLayers(layerSpec, change.searchDirs, writer, note),
    settings: Object.fromEntries(settings.filter(([, value]) => value !== '')),
    ...(change.discardEdits ? { edits: [], packed: {} } : {}),
  };
}
