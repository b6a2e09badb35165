/** The words that name a file of the osimage: its root image, its install tree, its answer file. */
const FILES: ReadonlySet<string> = new Set([
  'imgurl',
  'inst.repo',
  'inst.stage2',
  'inst.ks',
  'repo',
  'stage2',
  'ks',
]);

/**
 * The words of a kernel line that xCAT composed (`handed`), for an osimage whose own line has the words `own`: a file that
 * the osimage has is the generation's and not xCAT's copy, and `BOOTIF=`, which xCAT leaves to the loader, is added.
 */
export function mergeHandedLine(handed: readonly string[], own: readonly string[]): string[] {
  const ownFiles = new Map(own.filter((word) => FILES.has(keyOf(word))).map((word) => [keyOf(word), word]));
  const words = handed.map((word) => ownFiles.get(keyOf(word)) ?? word);
  const bootif = own.filter((word) => keyOf(word) === 'BOOTIF');
  return words.some((word) => keyOf(word) === 'BOOTIF') ? words : [...words, ...bootif];
}

function keyOf(word: string): string {
  return word.replace(/=.*$/s, '');
}
