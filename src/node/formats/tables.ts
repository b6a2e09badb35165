import { NodeError } from '../errors.js';
import { attributeOfColumn, NODE_TABLES, tableOfHeader } from '../xcat/attributes.js';
import { readCsv } from './csv.js';
import { expandValue } from './expression.js';
import type { GroupDefinition, NodeDefinition } from './definition.js';

/** One dump of `tabdump` or `dumpxCATdb`. */
export interface DumpedTable {
  readonly table: string;
  readonly rows: readonly ReadonlyMap<string, string>[]; // by column, without empty values
}

/** Whether `text` looks like a table dump: a header line that begins with `#` and a column. */
export function isTableDump(text: string): boolean {
  return /^#[A-Za-z_]+(?:,[A-Za-z_-]+)+\s*(?:\n|$)/.test(text);
}

/**
 * The table in `text`, of file `name`; rows that are disabled are left out. The file's name says which table it is,
 * else its columns do. Undefined for a table that says nothing of nodes. Throws NodeError BAD_IMPORT.
 */
export function readTableDump(text: string, name: string): DumpedTable | undefined {
  const [header, ...rows] = readCsv(text, name);
  const columns = (header?.fields ?? []).map((field, at) => (at === 0 ? field.replace(/^#/, '') : field));
  const base = /([^/]+)\.csv$/.exec(name)?.[1];
  const isGroups = base === 'nodegroup' || columns[0] === 'groupname';
  const table = isGroups
    ? 'nodegroup'
    : base !== undefined && NODE_TABLES.includes(base)
      ? base
      : tableOfHeader(columns);
  if (table === undefined) return undefined;
  const read = rows.map(({ line, fields }) => {
    if (fields.length > columns.length) {
      throw new NodeError(
        'BAD_IMPORT',
        `${name} line ${line}: ${fields.length} fields, and the header names ${columns.length}; dump the table again with tabdump`,
      );
    }
    return new Map(
      columns.flatMap((column, at): [string, string][] => {
        const value = fields[at] ?? '';
        return value === '' ? [] : [[column, value]];
      }),
    );
  });
  return { table, rows: read.filter((row) => !isDisabled(row.get('disable'))) };
}

function isDisabled(value: string | undefined): boolean {
  return /^(?:1|y|yes|true)$/i.test(value ?? '');
}

/** What dumped tables say together. */
export interface TablesRead {
  readonly nodes: readonly NodeDefinition[];
  readonly groups: readonly GroupDefinition[];
  readonly notes: readonly string[];
}

/**
 * The nodes that `tables` define: those of nodelist (else every node of the others that is no group), each with the
 * attributes of its own rows, else of its groups' rows, first group first. `known` are groups of nodes that are defined
 * already. Throws NodeError BAD_IMPORT.
 */
export function joinTables(
  tables: readonly DumpedTable[],
  known: ReadonlyMap<string, readonly string[]> = new Map(),
): TablesRead {
  const notes = new Set<string>();
  const byTable = new Map<string, Map<string, ReadonlyMap<string, string>>>();
  for (const { table, rows } of tables.filter(({ table }) => table !== 'nodegroup')) {
    const keyed = byTable.get(table) ?? new Map<string, ReadonlyMap<string, string>>();
    for (const row of rows) {
      const key = row.get('node');
      // The switch table has a row for each port; the first one that is listed counts.
      if (key !== undefined && !keyed.has(key)) keyed.set(key, row);
    }
    byTable.set(table, keyed);
  }
  const groupsOf = new Map<string, readonly string[]>(known);
  for (const [node, row] of byTable.get('nodelist') ?? []) groupsOf.set(node, listOf(row.get('groups')));
  const groupNames = new Set([...groupsOf.values()].flat());
  const names = byTable.has('nodelist')
    ? [...(byTable.get('nodelist') ?? new Map<string, unknown>()).keys()]
    : [...new Set([...byTable.values()].flatMap((rows) => [...rows.keys()]))].filter(
        (name) => !groupNames.has(name),
      );
  const nodes = names.map((name): NodeDefinition => {
    const attributes = new Map<string, string>();
    for (const [table, rows] of byTable) {
      for (const key of [name, ...(groupsOf.get(name) ?? [])]) {
        for (const [column, value] of rows.get(key) ?? []) {
          const found = keptAttribute(table, column, notes);
          if (found === undefined || attributes.has(found)) continue;
          const expanded = expandValue(value, name);
          if (expanded !== undefined && expanded !== '') attributes.set(found, expanded);
        }
      }
    }
    return { name, attributes };
  });
  return { nodes, groups: groupsIn(tables), notes: [...notes] };
}

function keptAttribute(table: string, column: string, notes: Set<string>): string | undefined {
  if (column === 'node' || column === 'disable' || (column === 'comments' && table !== 'nodelist'))
    return undefined;
  const found = attributeOfColumn(table, column);
  if (found === undefined) notes.add(`column ${table}.${column} is none that is known; it is left out`);
  return typeof found === 'object' ? found.attribute : undefined;
}

function groupsIn(tables: readonly DumpedTable[]): GroupDefinition[] {
  return tables
    .filter(({ table }) => table === 'nodegroup')
    .flatMap(({ rows }) => rows)
    .flatMap((row): GroupDefinition[] => {
      const name = row.get('groupname');
      if (name === undefined) return [];
      return [
        {
          name,
          where: row.get('grouptype') === 'dynamic' ? (row.get('wherevals') ?? '').split('::') : null,
          members: [],
        },
      ];
    });
}

/** The items of a comma list. */
export function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
