import { NodeError } from '../errors.js';
import { readCsv } from './csv.js';
import type { GroupDefinition, NodeDefinition, OsimageDefinition } from './definition.js';
import { isStanzaFile, readStanzas, type Stanza } from './stanza.js';
import { isTableDump, listOf, readTableDump, type DumpedTable } from './tables.js';

/** What a file of definitions holds. */
export interface DefinitionFile {
  readonly nodes: readonly NodeDefinition[];
  readonly groups: readonly GroupDefinition[];
  readonly osimages: readonly OsimageDefinition[];
  readonly tables: readonly DumpedTable[]; // at most one; tables make sense together only
  readonly notes: readonly string[]; // what was passed over
}

const NOTHING: DefinitionFile = { nodes: [], groups: [], osimages: [], tables: [], notes: [] };

/**
 * The definitions in `text`, whichever it is: a stanza file, a table dump, or CSV with a header whose first column is
 * `node` or `name` and whose others are attributes. Throws NodeError BAD_IMPORT.
 */
export function readDefinitionFile(text: string, name: string): DefinitionFile {
  const plain = text.replace(/^\ufeff/, '');
  if (isTableDump(plain)) {
    const table = readTableDump(plain, name);
    return table === undefined
      ? { ...NOTHING, notes: [`${name}: a table that says nothing of nodes; it is left out`] }
      : { ...NOTHING, tables: [table] };
  }
  return isStanzaFile(plain) ? fromStanzas(readStanzas(plain, name), name) : fromCsv(plain, name);
}

function fromStanzas(stanzas: readonly Stanza[], name: string): DefinitionFile {
  const of = (type: string): readonly Stanza[] => stanzas.filter((stanza) => stanza.type === type);
  const others = [...new Set(stanzas.map(({ type }) => type))].filter(
    (type) => !['node', 'group', 'osimage'].includes(type),
  );
  return {
    nodes: of('node').map(({ name, attributes }) => ({ name, attributes })),
    groups: of('group').map(({ name, attributes }) => ({
      name,
      where:
        attributes.get('grouptype') === 'dynamic' ? (attributes.get('wherevals') ?? '').split('::') : null,
      members: attributes.get('grouptype') === 'dynamic' ? [] : listOf(attributes.get('members')),
    })),
    osimages: of('osimage').map(({ name, attributes }) => ({ name, attributes })),
    tables: [],
    notes: others.map((type) => `${name}: objects of type ${type} are left out`),
  };
}

function fromCsv(text: string, name: string): DefinitionFile {
  const [header, ...rows] = readCsv(text, name);
  const columns = (header?.fields ?? []).map((column) => column.trim());
  const [first] = columns;
  if (first !== 'node' && first !== 'name') {
    throw new NodeError(
      'BAD_IMPORT',
      `${name} line 1: neither a stanza file (lsdef -z), a table dump (tabdump) nor CSV with a header that begins with node, such as node,mac,ip,groups`,
    );
  }
  const nodes = rows.map(({ line, fields }): NodeDefinition => {
    const [node = ''] = fields;
    if (fields.length !== columns.length) {
      throw new NodeError(
        'BAD_IMPORT',
        `${name} line ${line}: ${fields.length} fields, and the header has ${columns.length}; put quotes around fields with commas`,
      );
    }
    const attributes = columns.slice(1).map((column, at) => [column, (fields[at + 1] ?? '').trim()] as const);
    return { name: node.trim(), attributes: new Map(attributes.filter(([, value]) => value !== '')) };
  });
  return { ...NOTHING, nodes };
}
