import { readFileSync } from 'node:fs';
import type { GroupRecord, NodeRecord, NodeState } from '../store/records.js';
import { expandNoderange, type NodeDirectory } from './noderange.js';
import { parseSelections } from './selection.js';
import { attributeNamed } from './xcat/attributes.js';
import { nodeAttribute, OWN_ATTRIBUTES } from './xcat/node-object.js';

/**
 * The node database as noderanges see it: groups of both kinds, attributes by name or as xCAT's `table.column`, and
 * node list files of this machine. Nothing is looked through before a range asks for it.
 */
export function directoryOf(
  nodes: readonly NodeRecord[],
  defined: readonly GroupRecord[] = [],
): NodeDirectory {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const names = [...byName.keys()];
  let members: ReadonlyMap<string, readonly string[]> | undefined;
  const column = (name: string): ((node: string) => string) | undefined => {
    const attribute = attributeNamed(name);
    const isKnown =
      OWN_ATTRIBUTES.includes(attribute) || nodes.some((node) => node.attributes[attribute] !== undefined);
    return isKnown ? (node) => valueOf(byName.get(node), attribute) : undefined;
  };
  return {
    nodes: names,
    has: (name) => byName.has(name),
    group(name) {
      if (name === 'all') return names;
      const group = defined.find((each) => each.name === name);
      if (group?.where != null) return membersBy(nodes, group.where);
      members ??= membersOf(nodes);
      return members.get(name) ?? (group === undefined ? undefined : []);
    },
    column,
    readList(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
  };
}

/** The names of the nodes that fulfil every one of `where`. Throws NodeError BAD_NODERANGE. */
export function membersBy(nodes: readonly NodeRecord[], where: readonly string[]): string[] {
  const selections = parseSelections(where).map((selection) => ({
    selection,
    attribute: attributeNamed(selection.attribute),
  }));
  return nodes
    .filter((node) =>
      selections.every(({ selection, attribute }) => selection.matches(nodeAttribute(node, attribute))),
    )
    .map(({ name }) => name);
}

function valueOf(node: NodeRecord | undefined, attribute: string): string {
  return node === undefined ? '' : nodeAttribute(node, attribute);
}

function membersOf(nodes: readonly NodeRecord[]): Map<string, string[]> {
  const members = new Map<string, string[]>();
  for (const { name, groups } of nodes) {
    for (const group of groups) {
      const known = members.get(group);
      if (known === undefined) members.set(group, [name]);
      else known.push(name);
    }
  }
  return members;
}

/** The records of the nodes `range` names (all nodes without one), sorted by name. Throws NodeError as expandNoderange does. */
export async function selectNodes(
  state: Pick<NodeState, 'list' | 'groups'>,
  range?: string,
): Promise<readonly NodeRecord[]> {
  const nodes = await state.list();
  if (range === undefined) return nodes;
  const wanted = new Set(expandNoderange(range, directoryOf(nodes, await state.groups())));
  return nodes.filter((node) => wanted.has(node.name));
}
