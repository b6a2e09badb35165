import { ImageError } from '../../../image/errors.js';

/**
 * The words of a packages.lst, each once, in order: `#` begins a comment anywhere, words are separated by white space;
 * within quotes, and after a backslash, any character stands for itself (create-install-image gives the list to xargs).
 * Throws ImageError BAD_LAYER, by line, for an open quote, for a word that begins with a dash (an option to the package
 * manager), and for an empty list.
 */
export function parsePackageList(text: string, where: string): string[] {
  const words = new Set<string>();
  for (const [at, line] of text.split('\n').entries()) {
    for (const word of wordsOf(line.replace(/#.*$/s, ''), `${where}:${at + 1}`)) {
      if (word.startsWith('-'))
        throw new ImageError(
          'BAD_LAYER',
          `${where}:${at + 1}: ${word} begins with a dash; a package list holds names of packages, remove it`,
        );
      words.add(word);
    }
  }
  if (words.size === 0) throw new ImageError('BAD_LAYER', `${where}: no package; list one a line`);
  return [...words];
}

/** The words of a line as xargs takes them (POSIX, xargs): quotes join, and a backslash takes the next character as it is. */
function wordsOf(line: string, where: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < line.length; at++) {
    const letter = line[at] ?? '';
    if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (letter === '"' || letter === "'") {
      const end = line.indexOf(letter, at + 1);
      if (end < 0)
        throw new ImageError('BAD_LAYER', `${where}: a quote (${letter}) that nothing closes; close it on its line`);
      word = (word ?? '') + line.slice(at + 1, end);
      at = end;
    } else {
      if (letter === '\\') at++;
      word = (word ?? '') + (line[at] ?? '');
    }
  }
  if (word !== undefined) words.push(word);
  return words.filter((found) => found !== '');
}
