import type { SourceFile } from '../source/source.js';
import type { BootEntry, Family } from '../types.js';
import type { MediaLoaders } from './loaders.js';

/** A file of the media and where its artifact lies below `files/`. */
export interface PlacedFile {
  readonly file: SourceFile;
  readonly as: string;
}

/** What an installer's files are for. */
export interface MediaLayout {
  readonly family: Family;
  readonly files: readonly PlacedFile[]; // boot files, without the archive
  readonly archive?: PlacedFile; // the initrd that layers change; a tree of packages has none
  readonly tree: readonly SourceFile[]; // in order of their paths; without boot files and archive
  readonly boot: readonly BootEntry[];
  readonly loaders?: MediaLoaders; // what boots the media as an ISO
  readonly attached?: readonly SourceFile[]; // kept, not served
  readonly notes: readonly string[]; // what was left out, or is not as the vendor has it; a line each
}

/** What the operator says of the media, where it does not say so itself. */
export interface MediaHints {
  readonly family?: Family;
  readonly kernel?: SourceFile | string; // a path inside the media; or a file beside a lone archive
  readonly archive?: string; // a path inside the media
}

/**
 * Whether boot files of the family keep their paths on the media: below files/, on an ISO, and in the tree as it is
 * served. The other families' lie below files/ by their base names, and on an ISO below /boot.
 */
export function keepsMediaPaths(family: Family): boolean {
  return family === 'xcp-ng' || family === 'el';
}

/** The directory on an ISO that boot files and archives lie in, without a final slash; '' is the root. */
export function isoFiles(family: Family): string {
  return keepsMediaPaths(family) ? '' : '/boot';
}
