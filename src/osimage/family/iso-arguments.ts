import type { BootEntry, Family } from '../types.js';

/** The ISO that arguments are for. */
export interface IsoPlace {
  readonly volumeId: string;
  readonly netinstall: boolean; // without the tree
  readonly tree: string; // URL of the tree on the network
}

/**
 * The words of an entry's kernel line as an ISO has them. Anaconda finds its second stage on the disc, by its volume id,
 * unless that holds no tree; XCP-ng's installer is told when the disc holds none (host-installer: netinstall).
 */
export function isoArguments(
  family: Family,
  entry: BootEntry,
  words: readonly string[],
  place: IsoPlace,
): readonly string[] {
  if (family === 'el' && !place.netinstall) {
    const label = place.volumeId.replaceAll(' ', '\\x20');
    return words.map((word) => (word === `inst.repo=${place.tree}` ? `inst.stage2=hd:LABEL=${label}` : word));
  }
  if (family === 'xcp-ng' && place.netinstall && entry.kind === 'xen' && !words.includes('netinstall'))
    return ['netinstall', ...words];
  return words;
}
