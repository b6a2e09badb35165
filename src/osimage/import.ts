import { createHash } from 'node:crypto';
import path from 'node:path';
import { ImageError } from '../image/errors.js';
import { readArchive } from '../image/read-archive.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { DEFAULT_LIMITS, type UnpackLimits } from '../image/unpack-limits.js';
import type { Digest } from '../store/digest.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { storeArchiveArtifact, storeBlobArtifact, type StoredArtifact } from './artifacts.js';
import { OsimageError } from './errors.js';
import { recogniseMedia, type MediaHints, type MediaLayout } from './families.js';
import { checkName } from './find.js';
import { ENGINE, generationId, mediaDigest } from './generation-id.js';
import { openLocalFile, openSource } from './source/open-source.js';
import type { Source, SourceFile } from './source/source.js';
import type { Family, GenerationInputs, GenerationManifest } from './types.js';

export interface ImportRequest {
  readonly source: string; // a directory, an ISO or an archive, or a file:// URL of one
  readonly name: string;
  readonly family?: Family;
  readonly kernel?: string; // its path inside the media; for an archive alone, a local file
  readonly initrd?: string; // its path inside the media
  readonly limits?: UnpackLimits;
  /** Called as source bytes are read. */
  readonly onProgress?: (file: string, done: number, total: number) => void;
}

export interface ImportResult {
  readonly record: GenerationRecord;
  readonly manifest: GenerationManifest;
  readonly counts: SegmentCounts;
  readonly notes: readonly string[]; // what did not stay as the vendor made it, a line each
}

/**
 * Makes an osimage of vendor media: reads every file once, stores it, and publishes the first generation. Throws
 * OsimageError, ImageError (with the file's name) and StoreError; then nothing is visible of it.
 */
export async function importOsimage(store: Store, request: ImportRequest): Promise<ImportResult> {
  const name = checkName(request.name);
  if ((await store.osimages.get(name)) !== undefined) throw taken(name);
  const source = await openSource(request.source);
  try {
    return await importSource(store, name, source, request);
  } finally {
    await source.close();
  }
}

async function importSource(
  store: Store,
  name: string,
  source: Source,
  request: ImportRequest,
): Promise<ImportResult> {
  const layout = recogniseMedia(name, source, await hintsOf(source, request));
  return store.write(`import ${name}`, async (writer) => {
    const imported = await importFiles(source, layout, writer, store, request);
    const inputs: GenerationInputs = {
      engine: ENGINE,
      imported: ENGINE,
      media: imported.media,
      layers: [],
      edits: [],
      settings: {},
      layerSpec: '',
    };
    const { artifact: archive, descriptor } = imported.archive;
    const manifest: GenerationManifest = {
      version: 1,
      family: layout.family,
      files: [...imported.kernel.map((stored) => stored.artifact), archive],
      tree: imported.tree.map((stored) => stored.artifact),
      boot: layout.boot,
      bootBase: layout.boot,
      archives: { [archive.path]: descriptor },
      bases: { [archive.path]: descriptor },
      inputs,
    };
    await writer.seal();
    const record = await store.osimages.publish(
      {
        osimage: name,
        family: layout.family,
        id: generationId(layout.family, inputs),
        parent: null,
        note: `import ${request.source}`,
        manifest: JSON.stringify(manifest),
        blobs: [...imported.kernel, imported.archive, ...imported.tree].flatMap((stored) => [
          ...stored.blobs,
        ]),
      },
      { create: true },
    );
    return { record, manifest, counts: imported.counts, notes: [...source.notes, ...imported.notes] };
  });
}

interface ImportedFiles {
  readonly media: Digest;
  readonly kernel: readonly StoredArtifact[]; // none or one
  readonly archive: StoredArtifact & { readonly descriptor: Digest };
  readonly tree: readonly StoredArtifact[];
  readonly counts: SegmentCounts;
  readonly notes: readonly string[];
}

/** A lone archive's kernel is a file beside it; any other's is inside the media. */
async function hintsOf(source: Source, { family, kernel, initrd }: ImportRequest): Promise<MediaHints> {
  return {
    ...(family === undefined ? {} : { family }),
    ...(kernel === undefined
      ? {}
      : { kernel: source.kind === 'archive' ? await openLocalFile(kernel) : kernel }),
    ...(initrd === undefined ? {} : { archive: initrd }),
  };
}

async function importFiles(
  { files }: Source,
  layout: MediaLayout,
  writer: BlobWriter,
  store: Store,
  request: ImportRequest,
): Promise<ImportedFiles> {
  const counts = zeroCounts();
  const notes: string[] = [];
  const digests: { path: string; sha256: Digest }[] = [];
  const rest = files.filter((file) => file !== layout.kernel && file !== layout.archive);
  const boot = layout.kernel === undefined ? [] : [layout.kernel];
  const total = [...boot, layout.archive, ...rest].reduce((sum, file) => sum + file.size, 0);
  let done = 0;
  const read = async function* (file: SourceFile): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of file.read()) {
      hash.update(chunk);
      done += chunk.length;
      request.onProgress?.(file.path, done, total);
      yield chunk;
    }
    digests.push({ path: file.path, sha256: hash.digest('hex') as Digest });
  };
  const put = async (file: SourceFile, as: string): Promise<StoredArtifact> => {
    const { digest, size } = await writer.putStream(read(file));
    return storeBlobArtifact(as, digest, size, writer);
  };
  const descriptor = await readArchive(
    read(layout.archive),
    writer,
    counts,
    request.limits ?? DEFAULT_LIMITS,
    (line) => notes.push(`${layout.archive.where}: ${line}`),
  ).catch((error: unknown) => {
    if (error instanceof ImageError && error.code !== 'UNREADABLE')
      throw new ImageError(error.code, `${layout.archive.where}: ${error.message}`, { cause: error });
    throw error;
  });
  if (layout.kernel !== undefined && descriptor.frames.some(({ format }) => format === 'tar')) {
    notes.push(
      `${layout.archive.where}: the kernel does not unpack tar archives or squashfs; boot it with an initrd that does`,
    );
  }
  const kernel: StoredArtifact[] = [];
  for (const file of boot) kernel.push(await put(file, path.posix.basename(file.path)));
  const tree: StoredArtifact[] = [];
  for (const file of rest) tree.push(await put(file, file.path));
  const archive = await storeArchiveArtifact(
    path.posix.basename(layout.archive.path),
    descriptor,
    writer,
    store.blobs,
  );
  return { media: mediaDigest(digests), kernel, archive, tree, counts, notes };
}

function taken(name: string): OsimageError {
  return new OsimageError(
    'BAD_NAME',
    `osimage ${JSON.stringify(name)} exists already; give another --name, or remove it with: rackboot image rm ${name}`,
  );
}
