import { messageOf } from '../errors.js';
import type { GroupRecord, NodeRecord, NodeState } from '../store/records.js';
import { NodeError } from './errors.js';
import { foldNames } from './fold.js';
import { readDefinitionFile } from './formats/definition-file.js';
import type { GroupDefinition, NodeDefinition } from './formats/definition.js';
import { joinTables, type DumpedTable } from './formats/tables.js';
import { isKnowable, parseGroup } from './nodes.js';
import { parseSelections } from './selection.js';
import { isSecret } from './xcat/attributes.js';
import { nodeObject, nodeOfObject } from './xcat/node-object.js';

/** A file to import, by the name its errors carry. */
export interface ImportFile {
  readonly name: string;
  readonly text: string;
}

/** What an import would do to the node database. */
export interface ImportPlan {
  readonly nodes: readonly NodeRecord[]; // new and changed
  readonly groups: readonly GroupRecord[];
  readonly added: readonly string[];
  readonly changed: readonly { readonly node: string; readonly attributes: readonly string[] }[];
  readonly unchanged: readonly string[];
  readonly notes: readonly string[]; // what was left out, and what is missing, a line each
}

/** What is there before an import. */
export interface ImportBase {
  readonly nodes: readonly NodeRecord[];
  readonly groups: readonly GroupRecord[];
}

/**
 * What importing `files` (stanza files, table dumps, CSV files with a header) makes of `base`: nodes that exist are
 * changed in what the files say of them, and none is removed. Throws NodeError BAD_IMPORT naming every node that cannot
 * be taken; pure.
 */
export function planImport(files: readonly ImportFile[], base: ImportBase): ImportPlan {
  const notes: string[] = [];
  const tables: DumpedTable[] = [];
  const definitions: NodeDefinition[] = [];
  const groups: GroupDefinition[] = [];
  for (const file of files) {
    const read = readDefinitionFile(file.text, file.name);
    notes.push(...read.notes);
    definitions.push(...read.nodes);
    groups.push(...read.groups);
    tables.push(...read.tables);
  }
  if (tables.length > 0) {
    const joined = joinTables(tables, new Map(base.nodes.map(({ name, groups }) => [name, groups])));
    notes.push(...joined.notes);
    definitions.push(...joined.nodes);
    groups.push(...joined.groups);
  }
  return compare([...definitions, ...memberships(groups, definitions, base)], groups, base, notes);
}

/** The nodes that lists of members put into groups. */
function memberships(
  groups: readonly GroupDefinition[],
  definitions: readonly NodeDefinition[],
  base: ImportBase,
): NodeDefinition[] {
  const known = new Map(base.nodes.map(({ name, groups }) => [name, groups.join(',')]));
  for (const { name, attributes } of definitions) {
    const own = attributes.get('groups');
    if (own !== undefined || !known.has(name)) known.set(name, own ?? '');
  }
  const joined = new Map<string, string>();
  for (const { name, members } of groups) {
    for (const member of members) {
      const before = joined.get(member) ?? known.get(member);
      if (before !== undefined) joined.set(member, `${before},${name}`);
    }
  }
  return [...joined].map(([name, list]) => ({ name, attributes: new Map([['groups', list]]) }));
}

function compare(
  definitions: readonly NodeDefinition[],
  groups: readonly GroupDefinition[],
  base: ImportBase,
  notes: string[],
): ImportPlan {
  const before = new Map(base.nodes.map((node) => [node.name, node]));
  const after = new Map<string, NodeRecord>();
  const refused: string[] = [];
  for (const { name, attributes } of definitions) {
    try {
      const known = after.get(name.toLowerCase()) ?? before.get(name.toLowerCase());
      const node = nodeOfObject(name, attributes, known);
      after.set(node.name, node);
    } catch (error) {
      refused.push(`${name}: ${messageOf(error)}`);
    }
  }
  refused.push(...conflicts(base.nodes, after));
  if (refused.length > 0) {
    const more = refused.length > 3 ? `; and ${refused.length - 3} more` : '';
    throw new NodeError('BAD_IMPORT', `nothing is imported: ${refused.slice(0, 3).join('; ')}${more}`);
  }
  notes.push(...secretNotes(definitions));
  const added = [...after.keys()].filter((name) => !before.has(name)).sort();
  const changed = [...after.values()].flatMap((node) => {
    const old = before.get(node.name);
    const attributes = old === undefined ? [] : differences(old, node);
    return attributes.length === 0 ? [] : [{ node: node.name, attributes }];
  });
  const touched = new Set([...added, ...changed.map(({ node }) => node)]);
  const nodes = [...after.values()].filter(({ name }) => touched.has(name));
  const unknowable = nodes.filter((node) => !isKnowable(node)).map(({ name }) => name);
  if (unknowable.length > 0) {
    notes.push(
      `${foldNames(unknowable)}: no MAC address, so nothing can boot as one of them; give it with: rackboot node set NODE --mac MAC`,
    );
  }
  const unaddressed = nodes.filter((node) => isKnowable(node) && node.ip === null).map(({ name }) => name);
  if (unaddressed.length > 0) {
    notes.push(
      `${foldNames(unaddressed)}: no address (xCAT takes it from /etc/hosts); give it with: rackboot node set NODE --ip ADDRESS`,
    );
  }
  return {
    nodes,
    groups: changedGroups(groups, base.groups),
    added,
    changed,
    unchanged: [...after.keys()].filter((name) => !touched.has(name)).sort(),
    notes,
  };
}

function secretNotes(definitions: readonly NodeDefinition[]): string[] {
  const keys = definitions.flatMap(({ attributes }) => [...attributes.keys()].filter(isSecret));
  if (keys.length === 0) return [];
  return [`${[...new Set(keys)].sort().join(', ')}: left out, the database holds no passwords`];
}

/** MAC addresses and addresses that two nodes would have, when one of them is imported. */
function conflicts(before: readonly NodeRecord[], after: ReadonlyMap<string, NodeRecord>): string[] {
  const found: string[] = [];
  const owners = new Map<string, string>();
  const all = [...before.filter(({ name }) => !after.has(name)), ...after.values()];
  for (const { name, macs, ip } of all) {
    for (const what of [...macs.map((mac) => `MAC ${mac}`), ...(ip === null ? [] : [`address ${ip}`])]) {
      const owner = owners.get(what);
      if (owner !== undefined) found.push(`${name}: ${what} belongs to node ${owner}`);
      owners.set(what, name);
    }
  }
  return found;
}

function differences(before: NodeRecord, after: NodeRecord): string[] {
  const [old, next] = [nodeObject(before), nodeObject(after)];
  return [...new Set([...old.keys(), ...next.keys()])].filter((key) => old.get(key) !== next.get(key)).sort();
}

/** The groups that are defined by themselves: dynamic ones, and lists without a member. */
function changedGroups(groups: readonly GroupDefinition[], known: readonly GroupRecord[]): GroupRecord[] {
  return groups.flatMap(({ name, where }) => {
    const group = defineGroup(name, where);
    const same = known.find((each) => each.name === name);
    return same !== undefined && JSON.stringify(same.where) === JSON.stringify(where) ? [] : [group];
  });
}

/** A group as the database holds it. Throws NodeError BAD_GROUP, BAD_NODERANGE. */
export function defineGroup(name: string, where: readonly string[] | null): GroupRecord {
  if (where !== null) parseSelections(where);
  return { name: parseGroup(name), where };
}

/** The plan in a few lines, nodes of the same change folded together. */
export function summarizeImport(plan: ImportPlan): string[] {
  const byChange = new Map<string, string[]>();
  for (const { node, attributes } of plan.changed) {
    const key = attributes.join(', ');
    const nodes = byChange.get(key);
    if (nodes === undefined) byChange.set(key, [node]);
    else nodes.push(node);
  }
  return [
    ...(plan.added.length === 0 ? [] : [`${foldNames(plan.added)}: new`]),
    ...[...byChange].map(([attributes, names]) => `${foldNames(names)}: changed ${attributes}`),
    ...(plan.unchanged.length === 0 ? [] : [`${foldNames(plan.unchanged)}: unchanged`]),
    ...plan.groups.map(
      ({ name, where }) => `group ${name}: ${where === null ? 'a list' : where.join(' and ')}`,
    ),
  ];
}

/** Makes the plan true, every node and group or none. Throws StoreError NODE_CONFLICT. */
export async function applyImport(state: NodeState, plan: ImportPlan): Promise<void> {
  if (plan.nodes.length > 0 || plan.groups.length > 0) await state.putAll(plan.nodes, plan.groups);
}
