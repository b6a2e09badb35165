import { decodeDescriptor, type ArchiveDescriptor } from '../image/archive.js';
import { FrameReader, loadEntries, type PlacedEntry } from '../image/archive-index.js';
import { isRegular } from '../image/cpio/header.js';
import { pathFromText, pathToText, type ArchivePath } from '../image/cpio/path.js';
import { ImageError } from '../image/errors.js';
import { kernelView } from '../image/kernel-view.js';
import type { Contents } from '../image/nested/contents.js';
import { partsOf, tailOfPart, type Part } from '../image/parts.js';
import { ArchiveTree } from '../image/tree.js';
import type { Digest } from '../store/digest.js';
import { readBlob } from '../store/extents.js';
import type { Store } from '../store/records.js';
import type { BlobReader } from '../store/types.js';
import { OsimageError } from './errors.js';
import type { GenerationManifest } from './types.js';

/** An archive of a generation, opened to look into it. */
export interface OpenArchive {
  readonly entries: readonly PlacedEntry[];
  readonly tree: ArchiveTree;
  /** The data of an entry; of a hard link, that of the inode. */
  read(entry: PlacedEntry): AsyncIterable<Buffer>;
  /** Names the bytes of an entry without reading them: entries with equal marks have equal data. */
  mark(entry: PlacedEntry): string;
}

/** The descriptor of the archive at `path` of a generation. Throws OsimageError when it has none there. */
export function archiveDigest(manifest: GenerationManifest, path: string): Digest {
  const digest = manifest.archives[path];
  if (digest !== undefined) return digest;
  throw new OsimageError(
    'BAD_SOURCE',
    `no archive ${JSON.stringify(path)} in this generation; it has ${Object.keys(manifest.archives).join(', ')}`,
  );
}

/**
 * Opens the archive at `path` of a generation: all that it is made of, or the one archive in it that `part` counts.
 * Throws OsimageError when it has none there, ImageError NO_SUCH_PART.
 */
export async function openArchive(
  store: Store,
  manifest: GenerationManifest,
  path: string,
  part?: number,
): Promise<OpenArchive> {
  const descriptor = decodeDescriptor(await readBlob(store.blobs, archiveDigest(manifest, path)));
  return openDescriptor(descriptor, store.blobs, part);
}

/** Opens the archive that `descriptor` describes, as openArchive does. Throws ImageError NO_SUCH_PART. */
export async function openDescriptor(
  descriptor: ArchiveDescriptor,
  blobs: BlobReader,
  part?: number,
): Promise<OpenArchive> {
  if (part !== undefined) tailOfPart(descriptor, part);
  const all = await loadEntries(descriptor, blobs);
  const chosen = part === undefined ? all : all.filter(({ archive }) => archive === part - 1);
  const entries = kernelView(chosen)?.entries ?? chosen;
  const tree = new ArchiveTree(entries);
  const frame = (number: number): (typeof descriptor.frames)[number] => {
    const found = descriptor.frames[number];
    if (found === undefined) throw new RangeError(`no frame ${number}`);
    return found;
  };
  const readers = new Map<number, FrameReader>(); // each keeps the segment that it read last
  const reader = (number: number): FrameReader => {
    const known = readers.get(number) ?? new FrameReader(frame(number), blobs);
    readers.set(number, known);
    return known;
  };
  return {
    entries,
    tree,
    read(entry) {
      const holder = tree.dataOf(entry);
      return reader(holder.frame).dataOf(holder);
    },
    mark(entry) {
      const holder = tree.dataOf(entry);
      const segment = frame(holder.frame).segments[holder.segment];
      return `${segment?.blob ?? ''}+${holder.at}:${holder.header.size}`;
    },
  };
}

/** The archives that the archive file at `path` of a generation is made of. Throws OsimageError when it has none there. */
export async function archiveParts(
  store: Store,
  manifest: GenerationManifest,
  path: string,
): Promise<readonly Part[]> {
  const descriptor = decodeDescriptor(await readBlob(store.blobs, archiveDigest(manifest, path)));
  return partsOf(descriptor, await loadEntries(descriptor, store.blobs));
}

/** The data of the regular file at `text` (a path from the image's root, links followed). Throws ImageError. */
export function readFileOf(
  archive: Contents,
  text: string,
): { readonly size: number; readonly data: AsyncIterable<Buffer> } {
  const path: ArchivePath = pathFromText(text);
  const entry = archive.tree.find(path);
  if (!isRegular(entry.header.mode)) {
    throw new ImageError(
      'NOT_A_FILE',
      `${pathToText(entry.path)} is no regular file; list it with: rackboot image files`,
    );
  }
  return { size: archive.tree.dataOf(entry).header.size, data: archive.read(entry) };
}
