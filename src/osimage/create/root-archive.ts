import type { ArchiveDescriptor } from '../../image/archive.js';
import { loadEntries, type PlacedEntry } from '../../image/archive-index.js';
import { encodeTrailer, isDirectory, isSymlink, S_IFMT } from '../../image/cpio/header.js';
import type { Edit } from '../../image/edit.js';
import { previewArchive, type ArchivePreview } from '../../image/preview.js';
import { readArchive } from '../../image/read-archive.js';
import { zeroCounts } from '../../image/segment-writer.js';
import { spliceArchive } from '../../image/splice.js';
import { gatherEntries, type GatheredEntry } from '../../image/unpacked/gather.js';
import { packPart } from '../../image/unpacked/pack.js';
import type { ScratchBlobs } from '../../store/scratch-blobs.js';
import type { InstalledRoot } from './installed-root.js';

/** The times that the files of a root have in its archive: those of their packages. */
export interface Times {
  readonly epoch: number; // seconds: of every directory, and of files that would be newer
  readonly started: number; // seconds: what is not older was made while packages were installed
}

/** An archive of a root file system, uncompressed, and what is to be changed in it. */
export class RootArchive {
  readonly #base: ArchiveDescriptor;
  readonly #entries: readonly PlacedEntry[];
  readonly #blobs: ScratchBlobs;
  readonly #edits: Edit[] = [];
  #image: ArchivePreview | undefined;

  private constructor(base: ArchiveDescriptor, entries: readonly PlacedEntry[], blobs: ScratchBlobs) {
    this.#base = base;
    this.#entries = entries;
    this.#blobs = blobs;
  }

  /** The archive of `root`: entries by name, numbered one after another, so that the same files give the same bytes. Throws ImageError. */
  static async of(root: InstalledRoot, times: Times, blobs: ScratchBlobs): Promise<RootArchive> {
    const gathered = await gatherEntries(root.dir, { placed: new Map(), record: undefined });
    const empty = await readArchive(once(encodeTrailer()), blobs, zeroCounts());
    const entries = gathered.map((entry) => settled(entry, root, times));
    const tools = { blobs, writer: blobs, counts: zeroCounts(), earlier: [] };
    const base = await packPart(empty, entries, { part: 1, compress: undefined }, tools);
    return new RootArchive(base, await loadEntries(base, blobs), blobs);
  }

  /** What the archive is with all changes so far. */
  get image(): ArchivePreview {
    this.#image ??= previewArchive(this.#base, this.#entries, this.#edits, this.#blobs);
    return this.#image;
  }

  /** Changes the archive. */
  change(edits: readonly Edit[]): void {
    this.#edits.push(...edits);
    this.#image = undefined;
  }

  /** The archive with its changes; new entries have the time `mtime`, seconds. Throws what planEdits throws. */
  async finish(mtime: number): Promise<ArchiveDescriptor> {
    const tools = { blobs: this.#blobs, writer: this.#blobs, counts: zeroCounts(), earlier: [], mtime };
    return spliceArchive(this.#base, this.#edits, tools);
  }
}

/** An entry with the owner and permissions that its package gave it, and a time that does not tell when it was installed. */
function settled(entry: GatheredEntry, { owners }: InstalledRoot, { epoch, started }: Times): GatheredEntry {
  const { header } = entry;
  const owner = owners.get(entry.path);
  const isNew = isDirectory(header.mode) || header.mtime > epoch || header.mtime >= started;
  const permissions = isSymlink(header.mode) ? 0o777 : (owner?.mode ?? header.mode & 0o7777);
  return {
    ...entry,
    header: {
      ...header,
      mode: (header.mode & S_IFMT) | permissions,
      ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
      mtime: isNew ? epoch : header.mtime,
    },
  };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
