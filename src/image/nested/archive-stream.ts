import type { PlacedEntry } from '../archive-index.js';
import type { UnpackLimits } from '../unpack-limits.js';
import { joinLinks } from '../tar/links.js';
import type { ScannedEntry } from '../cpio/scanner.js';
import { readEntryData } from '../entry-data.js';
import { kernelView } from '../kernel-view.js';
import { ArchiveTree } from '../tree.js';
import { placedEntry, type Contents, type ReadableFile } from './contents.js';
import { readThrough } from './read-through.js';

/**
 * Looks into a file of cpio or tar archives: one reading tells what it holds, and each file takes another one, as far as
 * that file. Nothing is kept but the listing. Throws what readThrough throws.
 */
export async function openArchiveStream(file: ReadableFile, limits: UnpackLimits): Promise<Contents> {
  const archives: ScannedEntry[][] = [];
  const onEntry = (entry: ScannedEntry, archive: number): void => {
    (archives[archive] ??= []).push(entry);
  };
  for await (const _chunk of readThrough(file.read(), limits, onEntry)) void _chunk;
  const entries = archives.flatMap((own, archive) =>
    joinLinks(own).map((entry) => placedEntry(entry, archive)),
  );
  const tree = new ArchiveTree(kernelView(entries)?.entries ?? entries);
  return {
    tree,
    read(entry: PlacedEntry) {
      return readEntryData(tree.dataOf(entry), (start, end) =>
        slice(
          readThrough(file.read(), limits, () => undefined),
          start,
          end,
        ),
      );
    },
  };
}

/** Bytes [start, end) of `source`, which is read no further. */
async function* slice(source: AsyncIterable<Buffer>, start: number, end: number): AsyncGenerator<Buffer> {
  if (end === start) return;
  let offset = 0;
  for await (const chunk of source) {
    const part = chunk.subarray(Math.max(0, start - offset), end - offset);
    if (part.length > 0) yield part;
    offset += chunk.length;
    if (offset >= end) return;
  }
}
