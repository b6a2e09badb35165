import { renderTemplate } from '../template/render.js';
import type { Place } from './xml.js';

/** Characters of Unicode's private use around a line's number; no answer file has reason to hold them. */
const OPEN = '\ue000';
const CLOSE = '\ue001';

/**
 * Where in `template` the place of what it rendered to comes from. Undefined when the template makes lines in ways that
 * cannot be followed: then the place is one of the rendered text.
 */
export function templatePlace(
  template: string,
  rendered: string,
  variables: object,
  place: Place,
): Place | undefined {
  const lines = template.split('\n');
  const marked = renderMarked(lines, variables);
  if (marked?.replace(/\ue000\d+\ue001/g, '') !== rendered) return undefined;
  const line = lineMarked(marked.split('\n')[place.line - 1] ?? '', place.column) ?? lines.length;
  const from = lines[line - 1] ?? '';
  const to = rendered.split('\n')[place.line - 1] ?? '';
  return { line, column: columnIn(from, to, place.column) };
}

/** The template rendered with the number of its line at the end of every line that no tag goes on from. */
function renderMarked(lines: readonly string[], variables: object): string | undefined {
  let inTag = false;
  const marked = lines.map((line, at) => {
    for (const [bound] of line.matchAll(/\{[{%]|[}%]\}/g)) inTag = bound.startsWith('{');
    return inTag || at === lines.length - 1 ? line : `${line}${OPEN}${at + 1}${CLOSE}`;
  });
  try {
    return renderTemplate(marked.join('\n'), 'template', variables);
  } catch {
    return undefined;
  }
}

/** The number of the first mark at or after `column`, which is counted without marks. */
function lineMarked(text: string, column: number): number | undefined {
  let marks = 0;
  for (const mark of text.matchAll(/\ue000(\d+)\ue001/g)) {
    if (mark.index - marks >= column - 1) return Number(mark[1]);
    marks += mark[0].length;
  }
  return undefined;
}

/** The column in the template's line `from` of what stands at `column` of the line `to` it became. */
function columnIn(from: string, to: string, column: number): number {
  if (from.slice(0, column) === to.slice(0, column)) return column;
  const word = /^<?[^\s=>]*/.exec(to.slice(column - 1))?.[0] ?? '';
  const found = word === '' ? -1 : from.indexOf(word);
  return found === -1 ? from.search(/\S|$/) + 1 : found + 1;
}
