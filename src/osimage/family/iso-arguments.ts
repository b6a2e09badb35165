import type { BootEntry, Family } from '../types.js';

/** The ISO that arguments are for. */
export interface IsoPlace {
  readonly volumeId: string;
  readonly netinstall: boolean; // without the tree
  readonly tree: string; // URL of the tree on the network
  readonly answer?: string; // what the variable `answerfile` says where the file is on the ISO: file:///NAME
}

/**
 * The words of an entry's kernel line as an ISO has them. Anaconda finds its second stage on the disc, by its volume id,
 * and the packages too unless it holds none; XCP-ng's installer is told when it holds none (host-installer: netinstall).
 */
export function isoArguments(
  family: Family,
  entry: BootEntry,
  given: readonly string[],
  place: IsoPlace,
): readonly string[] {
  const { volumeId, netinstall, tree } = place;
  const words = answered(family, given, place);
  if (family === 'el') {
    const network = `inst.repo=${tree}`;
    const disc = `inst.stage2=hd:LABEL=${labelOf(volumeId)}`;
    return words.flatMap((word) => (word !== network ? [word] : netinstall ? [disc, network] : [disc]));
  }
  if (family === 'xcp-ng' && netinstall && entry.kind === 'xen' && !words.includes('netinstall'))
    return ['netinstall', ...words];
  return words;
}

/** The words with the answer file where the installer finds it: in its archive or, for Anaconda, on the disc. */
function answered(
  family: Family,
  words: readonly string[],
  { answer, volumeId }: IsoPlace,
): readonly string[] {
  if (answer === undefined) return words;
  const file = answer.replace(/^file:\/\//, '');
  return words.map((word) => {
    if (family === 'debian-installer' && word === `preseed/url=${answer}`) return `preseed/file=${file}`;
    if (family === 'el' && word === `inst.ks=${answer}`)
      return `inst.ks=hd:LABEL=${labelOf(volumeId)}:${file}`;
    return word;
  });
}

/** A volume id as dracut takes it. */
function labelOf(volumeId: string): string {
  return volumeId.replaceAll(' ', '\\x20');
}
