import { createHash } from 'node:crypto';
import { ImageError } from '../image/errors.js';
import { readArchive } from '../image/read-archive.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { DEFAULT_LIMITS, type UnpackLimits } from '../image/unpack-limits.js';
import type { Digest } from '../store/digest.js';
import type { GenerationRecord, Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { storeArchiveArtifact, storeBlobArtifact, type StoredArtifact } from './artifacts.js';
import { OsimageError } from './errors.js';
import { recogniseMedia } from './families.js';
import type { MediaHints, MediaLayout, PlacedFile } from './family/layout.js';
import { checkName } from './find.js';
import { ENGINE, generationId, mediaDigest } from './generation-id.js';
import { nameOf, openLocalFile, openSource } from './source/open-source.js';
import type { Source, SourceFile } from './source/source.js';
import type { Artifact, Family, GenerationInputs, GenerationManifest, MediaDisc } from './types.js';

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
  const layout = await recogniseMedia(name, source, await hintsOf(source, request));
  return store.write(`import ${name}`, async (writer) => {
    const imported = await importFiles(layout, writer, store, request);
    const inputs: GenerationInputs = {
      engine: ENGINE,
      imported: ENGINE,
      media: imported.media,
      layers: [],
      edits: [],
      settings: {},
      layerSpec: '',
    };
    const archives = Object.fromEntries(
      imported.archive === undefined ? [] : [[imported.archive.artifact.path, imported.archive.descriptor]],
    );
    const manifest: GenerationManifest = {
      version: 1,
      family: layout.family,
      files: imported.files.map((stored) => stored.artifact),
      tree: imported.tree.map((stored) => stored.artifact),
      boot: layout.boot,
      bootBase: layout.boot,
      ...(imported.disc === undefined ? {} : { disc: imported.disc }),
      archives,
      bases: archives,
      inputs,
    };
    await writer.seal();
    const record = await store.osimages.publish(
      {
        osimage: name,
        family: layout.family,
        id: generationId(layout.family, inputs),
        parent: null,
        note: `import ${nameOf(request.source)}`,
        manifest: JSON.stringify(manifest),
        blobs: imported.blobs,
      },
      { create: true },
    );
    const notes = [...source.notes, ...layout.notes, ...imported.notes];
    return { record, manifest, counts: imported.counts, notes };
  });
}

interface ImportedFiles {
  readonly media: Digest;
  readonly files: readonly StoredArtifact[]; // the archive last
  readonly archive?: StoredArtifact & { readonly descriptor: Digest };
  readonly tree: readonly StoredArtifact[];
  readonly disc?: MediaDisc;
  readonly blobs: readonly Digest[];
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

/** Reads every file of `layout` once and stores it: the archive first, which is the most likely to be refused. */
async function importFiles(
  layout: MediaLayout,
  writer: BlobWriter,
  store: Store,
  request: ImportRequest,
): Promise<ImportedFiles> {
  const notes: string[] = [];
  const reader = new MediaReader(layout, writer, request);
  const counts = zeroCounts();
  const archive =
    layout.archive === undefined
      ? undefined
      : await importArchive(layout.archive, reader, { writer, store, counts, notes, request });
  if (layout.files.length > 0 && archive?.tar === true) {
    notes.push(
      `${layout.archive?.file.where ?? ''}: the kernel does not unpack tar archives or squashfs; boot it with an initrd that does`,
    );
  }
  const files: StoredArtifact[] = [];
  for (const { file, as } of layout.files) files.push(await reader.put(file, as));
  if (archive !== undefined) files.push(archive.stored);
  const tree: StoredArtifact[] = [];
  for (const file of layout.tree) tree.push(await reader.put(file, file.path));
  const disc = await importDisc(layout, reader, writer);
  return {
    media: mediaDigest(
      reader.digests,
      layout.loaders === undefined ? undefined : { boot: layout.boot, disc: disc.disc },
    ),
    files,
    ...(archive === undefined ? {} : { archive: archive.stored }),
    tree,
    ...(disc.disc === undefined ? {} : { disc: disc.disc }),
    blobs: [...files, ...tree].flatMap((stored) => [...stored.blobs]).concat(disc.blobs),
    counts,
    notes,
  };
}

/** Reads media's files and keeps the digest of each. */
class MediaReader {
  readonly digests: { path: string; sha256: Digest }[] = [];
  readonly #writer: BlobWriter;
  readonly #onProgress: ImportRequest['onProgress'];
  readonly #total: number;
  #done = 0;

  constructor(layout: MediaLayout, writer: BlobWriter, request: ImportRequest) {
    this.#writer = writer;
    this.#onProgress = request.onProgress;
    const placed = [...layout.files, ...(layout.archive === undefined ? [] : [layout.archive])];
    const all = [...placed.map(({ file }) => file), ...layout.tree];
    this.#total = all.reduce((sum, file) => sum + file.size, 0);
  }

  async *read(file: SourceFile): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of file.read()) {
      hash.update(chunk);
      this.#done += chunk.length;
      this.#onProgress?.(file.path, this.#done, this.#total);
      yield chunk;
    }
    this.digests.push({ path: file.path, sha256: hash.digest('hex') as Digest });
  }

  async put(file: SourceFile, as: string): Promise<StoredArtifact> {
    const { digest, size } = await this.#writer.putStream(this.read(file));
    return storeBlobArtifact(as, digest, size, this.#writer);
  }
}

async function importArchive(
  { file, as }: PlacedFile,
  reader: MediaReader,
  into: {
    readonly writer: BlobWriter;
    readonly store: Store;
    readonly counts: SegmentCounts;
    readonly notes: string[];
    readonly request: ImportRequest;
  },
): Promise<{ readonly stored: StoredArtifact & { readonly descriptor: Digest }; readonly tar: boolean }> {
  const { writer, store, counts, notes, request } = into;
  const descriptor = await readArchive(
    reader.read(file),
    writer,
    counts,
    request.limits ?? DEFAULT_LIMITS,
    (line) => notes.push(`${file.where}: ${line}`),
  ).catch((error: unknown) => {
    if (error instanceof ImageError && error.code !== 'UNREADABLE')
      throw new ImageError(error.code, `${file.where}: ${error.message}`, { cause: error });
    throw error;
  });
  const stored = await storeArchiveArtifact(as, descriptor, writer, store.blobs);
  return { stored, tar: descriptor.frames.some(({ format }) => format === 'tar') };
}

/** The loaders that the media boots with as an ISO, stored. */
async function importDisc(
  { loaders }: MediaLayout,
  reader: MediaReader,
  writer: BlobWriter,
): Promise<{ readonly disc?: MediaDisc; readonly blobs: readonly Digest[] }> {
  if (loaders === undefined || (loaders.bios ?? loaders.uefi) === undefined) return { blobs: [] };
  const { volumeId, bios, uefi, catalog, isolinuxMenus, grubMenus } = loaders;
  const blobs: Digest[] = [];
  const put = async (file: SourceFile): Promise<Artifact> => {
    const stored = await reader.put(file, file.path);
    blobs.push(...stored.blobs);
    return stored.artifact;
  };
  const bootCode = bios?.bootCode === undefined ? undefined : await writer.put(bios.bootCode);
  if (bootCode !== undefined) blobs.push(bootCode);
  const disc: MediaDisc = {
    ...(volumeId === undefined ? {} : { volumeId }),
    ...(bios === undefined
      ? {}
      : {
          bios: {
            image: await put(bios.image),
            ...(bootCode === undefined ? {} : { bootCode }),
            ...(bios.isGrub === undefined ? {} : { isGrub: bios.isGrub }),
          },
        }),
    ...(uefi === undefined ? {} : { uefi: { image: await put(uefi.image) } }),
    catalog,
    isolinuxMenus,
    grubMenus,
  };
  return { disc, blobs };
}

function taken(name: string): OsimageError {
  return new OsimageError(
    'BAD_NAME',
    `osimage ${JSON.stringify(name)} exists already; give another --name, or remove it with: rackboot image rm ${name}`,
  );
}
