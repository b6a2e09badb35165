import type { PlacedEntry } from '../archive-index.js';
import { isDirectory, isSymlink } from '../cpio/header.js';
import { isSafe, parentOf, pathToText, ROOT, type ArchivePath } from '../cpio/path.js';
import { ImageError } from '../errors.js';
import { followLinks } from '../follow-links.js';

/**
 * Where each entry lies once all are unpacked one after another, as the kernel would: below the image's root, with the
 * symbolic links among the parents of its name followed inside the image, so that no path leads out of it. Of several
 * at one place the last counts. Throws ImageError UNSAFE_PATH or EXTRACT_FAILED, naming the entry and its offset.
 */
export function placeEntries(entries: readonly PlacedEntry[]): Map<ArchivePath, PlacedEntry> {
  const placed = new Map<ArchivePath, PlacedEntry>();
  const directories = new Set<ArchivePath>([ROOT]);
  for (const entry of entries) {
    const path = placeOf(entry, placed);
    const standing = placed.get(path);
    const wasDirectory = directories.has(path);
    if (wasDirectory !== isDirectory(entry.header.mode) && (wasDirectory || standing !== undefined)) {
      throw failed(entry, 'stands where an earlier entry made something else');
    }
    for (let up = parentOf(path); !directories.has(up); up = parentOf(up)) {
      if (placed.has(up)) throw failed(entry, `lies below ${pathToText(up)}, which is no directory`);
      directories.add(up);
    }
    if (isDirectory(entry.header.mode)) directories.add(path);
    placed.set(path, entry);
  }
  return placed;
}

function placeOf(entry: PlacedEntry, placed: ReadonlyMap<ArchivePath, PlacedEntry>): ArchivePath {
  if (!isSafe(entry.path)) {
    throw new ImageError(
      'UNSAFE_PATH',
      `${pathToText(entry.path)} at offset ${entry.offset} of the archive leaves the image; nothing was unpacked, have the archive made again without that entry`,
    );
  }
  if (entry.path === ROOT) return ROOT;
  const targetOf = (path: ArchivePath): string | undefined => {
    const standing = placed.get(path);
    return standing !== undefined && isSymlink(standing.header.mode) ? standing.target : undefined;
  };
  const place = followLinks(entry.path, { targetOf, last: false });
  if (place === undefined) throw failed(entry, 'lies behind a loop of symbolic links');
  return place;
}

const failed = (entry: PlacedEntry, what: string): ImageError =>
  new ImageError(
    'EXTRACT_FAILED',
    `${pathToText(entry.path)} at offset ${entry.offset} of the archive ${what}; nothing was unpacked; take away all of that name with rackboot image delete, put the one you want, and unpack again`,
  );
