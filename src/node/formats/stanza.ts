import { NodeError } from '../errors.js';

/** One object of a stanza file, as `lsdef -z` writes it. */
export interface Stanza {
  readonly name: string;
  readonly type: string; // objtype
  readonly attributes: ReadonlyMap<string, string>; // without objtype
  readonly line: number; // of its name, from 1
}

/** The first line of every stanza file. */
const HEADER = '# <xCAT data object stanza file>';

/**
 * The objects in the text of a stanza file: a name with a colon, then indented `attribute=value` lines, of which
 * `objtype` is one. Empty lines and lines that begin with `#` are passed over. Throws NodeError BAD_IMPORT with `name`
 * and the line.
 */
export function readStanzas(text: string, name: string): readonly Stanza[] {
  const stanzas: { name: string; line: number; attributes: Map<string, string> }[] = [];
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trimEnd();
    if (line === '' || /^\s*#/.test(line)) continue;
    const [, key, value = ''] = /^\s+([^\s=]+)=(.*)$/s.exec(line) ?? [];
    const current = stanzas.at(-1);
    if (key !== undefined && current !== undefined) {
      current.attributes.set(key, value);
      continue;
    }
    const [, object] = /^([^\s=]+):$/.exec(line) ?? [];
    if (object === undefined) {
      throw new NodeError(
        'BAD_IMPORT',
        `${name} line ${at + 1}: ${JSON.stringify(line.slice(0, 60))} is neither 'name:' nor an indented attribute=value; write the file with lsdef -z`,
      );
    }
    stanzas.push({ name: object, line: at + 1, attributes: new Map() });
  }
  return stanzas.map(({ attributes, ...stanza }) => {
    const type = attributes.get('objtype');
    if (type === undefined) {
      throw new NodeError(
        'BAD_IMPORT',
        `${name} line ${stanza.line}: ${stanza.name} has no objtype; add one, such as objtype=node`,
      );
    }
    attributes.delete('objtype');
    return { ...stanza, type, attributes };
  });
}

/** Whether `text` looks like a stanza file. */
export function isStanzaFile(text: string): boolean {
  const first = text.split(/\r?\n/).find((line) => line.trim() !== '' && !/^\s*#\s/.test(line));
  return text.startsWith(HEADER) || /^[^\s=,]+:\s*$/.test(first ?? '');
}

/** Objects as `lsdef -z` prints them: `objtype` first, the other attributes sorted; no final line break. */
export function writeStanzas(stanzas: readonly Omit<Stanza, 'line'>[]): string {
  const objects = stanzas.map(({ name, type, attributes }) =>
    [
      `${name}:`,
      `    objtype=${type}`,
      ...[...attributes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `    ${key}=${value}`),
    ].join('\n'),
  );
  return [HEADER, ...objects].join('\n\n');
}
