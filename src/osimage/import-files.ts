import { createHash } from 'node:crypto';
import type { ArchiveDescriptor, Whole } from '../image/archive.js';
import type { ArchiveCuts } from '../image/archive-cuts.js';
import { ImageError } from '../image/errors.js';
import { readArchive } from '../image/read-archive.js';
import { zeroCounts, type SegmentCounts } from '../image/segment-writer.js';
import { DEFAULT_LIMITS, type UnpackLimits } from '../image/unpack-limits.js';
import type { Digest } from '../store/digest.js';
import type { Store } from '../store/records.js';
import type { BlobWriter } from '../store/types.js';
import { storeArchiveArtifact, storeBlobArtifact, type StoredArtifact } from './artifacts.js';
import type { MediaLayout, PlacedFile } from './family/layout.js';
import { mediaDigest } from './generation-id.js';
import type { SourceFile } from './source/source.js';
import type { Artifact, MediaDisc } from './types.js';

/** How files are read that become an osimage. */
export interface ReadOptions {
  readonly limits?: UnpackLimits;
  readonly cuts?: ArchiveCuts; // of the archive, where it is one of our own
  readonly whole?: Whole['codec']; // what compressed the archive, where it is to be kept as one stream
  /** Called as source bytes are read. */
  readonly onProgress?: (file: string, done: number, total: number) => void;
}

/** The files of a layout, stored. */
export interface ImportedFiles {
  readonly media: Digest;
  readonly digests: ReadonlyMap<SourceFile, Digest>; // of each file as it was read
  readonly files: readonly StoredArtifact[]; // the archive last
  readonly archive?: StoredArtifact & { readonly descriptor: Digest };
  readonly tree: readonly StoredArtifact[];
  readonly disc?: MediaDisc;
  readonly attached: readonly StoredArtifact[];
  readonly blobs: readonly Digest[];
  readonly counts: SegmentCounts;
  readonly notes: readonly string[];
}

/** Reads every file of `layout` once and stores it: the archive first, which is the most likely to be refused. */
export async function importFiles(
  layout: MediaLayout,
  writer: BlobWriter,
  store: Store,
  request: ReadOptions,
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
  const attached: StoredArtifact[] = [];
  for (const file of layout.attached ?? []) attached.push(await reader.put(file, file.path));
  const disc = await importDisc(layout, reader, writer);
  return {
    media: mediaDigest(
      [...reader.digests].map(([{ path }, sha256]) => ({ path, sha256 })),
      layout.loaders === undefined ? undefined : { boot: layout.boot, disc: disc.disc },
    ),
    digests: reader.digests,
    files,
    ...(archive === undefined ? {} : { archive: archive.stored }),
    tree,
    ...(disc.disc === undefined ? {} : { disc: disc.disc }),
    attached,
    blobs: [...files, ...tree, ...attached].flatMap((stored) => [...stored.blobs]).concat(disc.blobs),
    counts,
    notes,
  };
}

/** Reads media's files and keeps the digest of each. */
class MediaReader {
  readonly digests = new Map<SourceFile, Digest>();
  readonly #writer: BlobWriter;
  readonly #onProgress: ReadOptions['onProgress'];
  readonly #total: number;
  #done = 0;

  constructor(layout: MediaLayout, writer: BlobWriter, request: ReadOptions) {
    this.#writer = writer;
    this.#onProgress = request.onProgress;
    const placed = [...layout.files, ...(layout.archive === undefined ? [] : [layout.archive])];
    const loaders = [layout.loaders?.bios?.image, layout.loaders?.uefi?.image];
    const all = [
      ...placed.map(({ file }) => file),
      ...layout.tree,
      ...(layout.attached ?? []),
      ...loaders.filter((file) => file !== undefined),
    ];
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
    this.digests.set(file, hash.digest('hex') as Digest);
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
    readonly request: ReadOptions;
  },
): Promise<{ readonly stored: StoredArtifact & { readonly descriptor: Digest }; readonly tar: boolean }> {
  const { writer, store, counts, notes, request } = into;
  const descriptor = await readArchive(
    reader.read(file),
    writer,
    counts,
    request.limits ?? DEFAULT_LIMITS,
    (line) => notes.push(`${file.where}: ${line}`),
    request.cuts,
  ).catch((error: unknown) => {
    if (error instanceof ImageError && error.code !== 'UNREADABLE')
      throw new ImageError(error.code, `${file.where}: ${error.message}`, { cause: error });
    throw error;
  });
  const kept =
    request.whole === undefined ? descriptor : await asItWas(descriptor, file, request.whole, writer);
  const stored = await storeArchiveArtifact(as, kept, writer, store.blobs);
  return { stored, tar: descriptor.frames.some(({ format }) => format === 'tar') };
}

/** `descriptor`, served as the bytes that `file` has, where it is one stream. */
async function asItWas(
  descriptor: ArchiveDescriptor,
  file: SourceFile,
  codec: Whole['codec'],
  writer: BlobWriter,
): Promise<ArchiveDescriptor> {
  const [frame, another] = descriptor.frames;
  if (frame === undefined || another !== undefined || frame.whole !== undefined) return descriptor;
  const { digest, size } = await writer.putStream(file.read());
  return { frames: [{ ...frame, whole: { codec, streams: [{ blob: digest, size }] } }] };
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
