import { NodeError } from '../errors.js';

/** One row of a CSV file and the line it begins on, from 1. */
export interface CsvRow {
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * The rows of `text` (RFC 4180: fields in double quotes may hold commas, line breaks and doubled quotes), without empty
 * lines. Throws NodeError BAD_IMPORT with `name` and the line for a quote that is not closed or stands inside a field.
 */
export function readCsv(text: string, name: string): readonly CsvRow[] {
  const rows: CsvRow[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const begin = line;
    const fields: string[] = [];
    for (;;) {
      const field = readField(text, at, name, line);
      fields.push(field.value);
      line += field.lines;
      at = field.end;
      if (text[at] !== ',') break;
      at++;
    }
    if (text[at] === '\r') at++;
    if (at < text.length && text[at] !== '\n') {
      throw new NodeError(
        'BAD_IMPORT',
        `${name} line ${line}: text after a closing quote; double the quotes that belong to a field`,
      );
    }
    at++;
    line++;
    if (fields.length > 1 || fields[0] !== '') rows.push({ line: begin, fields });
  }
  return rows;
}

function readField(
  text: string,
  start: number,
  name: string,
  line: number,
): { readonly value: string; readonly end: number; readonly lines: number } {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && text[end] !== ',' && text[end] !== '\n') end++;
    const stop = text[end - 1] === '\r' && text[end] !== ',' ? end - 1 : end;
    return { value: text.slice(start, Math.max(start, stop)), end: Math.max(start, stop), lines: 0 };
  }
  const pieces: string[] = [];
  let from = start + 1;
  for (;;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) {
      throw new NodeError('BAD_IMPORT', `${name} line ${line}: a double quote is not closed; close it`);
    }
    pieces.push(text.slice(from, quote));
    if (text[quote + 1] !== '"') {
      const value = pieces.join('"');
      return { value, end: quote + 1, lines: value.split('\n').length - 1 };
    }
    from = quote + 2;
  }
}
