/**
 * The lines of a layer's text file without comments, surrounding white space and empty lines: a `#` at a line's start
 * or after white space begins a comment, any other is a character like others. White space is ASCII, so that `text` may
 * be bytes (latin-1).
 */
export function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map(strip)
    .filter((line) => line !== '');
}

/** `text` without what linesOf leaves out, but every line still where it was. */
export function withoutComments(text: string): string {
  return text.split('\n').map(strip).join('\n').replace(/\n+$/, '');
}

function strip(line: string): string {
  return line.replace(/(^|[ \t\r\f\v])#.*$/s, '').replace(/^[ \t\r\f\v]+|[ \t\r\f\v]+$/g, '');
}
