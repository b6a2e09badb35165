/**
 * The lines of a layer's text file without comments, surrounding white space and empty lines: a `#` at a line's start
 * or after white space begins a comment, any other is a character like others. White space is ASCII, so that `text` may
 * be bytes (latin-1).
 */
export function linesOf(text: string): string[] {
  return numberedLines(text).map(({ text }) => text);
}

/** As linesOf, each line with its number in the file, from 1. */
export function numberedLines(text: string): { readonly line: number; readonly text: string }[] {
  return text
    .split('\n')
    .map((raw, index) => ({
      line: index + 1,
      text: raw.replace(/(^|[ \t\r\f\v])#.*$/s, '').replace(/^[ \t\r\f\v]+|[ \t\r\f\v]+$/g, ''),
    }))
    .filter(({ text }) => text !== '');
}
