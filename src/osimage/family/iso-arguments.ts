import type { BootEntry, Family } from '../types.js';

/** The ISO that arguments are for. */
export interface IsoPlace {
  readonly volumeId: string;
  readonly netinstall: boolean; // without the tree
  readonly tree: string; // URL of the tree on the network
}

/**
 * The words of an entry's kernel line as an ISO has them. Anaconda finds its second stage on the disc, by its volume id,
 * and the packages too unless it holds none; XCP-ng's installer is told when it holds none (host-installer: netinstall).
 */
export function isoArguments(
  family: Family,
  entry: BootEntry,
  words: readonly string[],
  { volumeId, netinstall, tree }: IsoPlace,
): readonly string[] {
  if (family === 'el') {
    const network = `inst.repo=${tree}`;
    const disc = `inst.stage2=hd:LABEL=${volumeId.replaceAll(' ', '\\x20')}`;
    return words.flatMap((word) => (word !== network ? [word] : netinstall ? [disc, network] : [disc]));
  }
  if (family === 'xcp-ng' && netinstall && entry.kind === 'xen' && !words.includes('netinstall'))
    return ['netinstall', ...words];
  return words;
}
