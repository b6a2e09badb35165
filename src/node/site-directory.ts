import { readFileSync } from 'node:fs';
import type { NodeRecord, NodeState } from '../store/records.js';
import { expandNoderange, type NodeDirectory } from './noderange.js';

/** The node database as noderanges see it: groups, attributes by name, and node list files of this machine. */
export function directoryOf(nodes: readonly NodeRecord[]): NodeDirectory {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const groups = new Map<string, string[]>([['all', nodes.map((node) => node.name)]]);
  const attributes = new Set<string>();
  for (const node of nodes) {
    for (const group of node.groups) groups.set(group, [...(groups.get(group) ?? []), node.name]);
    for (const key of Object.keys(node.attributes)) attributes.add(key);
  }
  return {
    nodes: [...byName.keys()],
    has: (name) => byName.has(name),
    group: (name) => groups.get(name),
    column: (name) => (attributes.has(name) ? (node) => byName.get(node)?.attributes[name] ?? '' : undefined),
    readList(path) {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
  };
}

/** The records of the nodes `range` names (all nodes without one), sorted by name. Throws NodeError as expandNoderange does. */
export async function selectNodes(state: NodeState, range?: string): Promise<readonly NodeRecord[]> {
  const nodes = await state.list();
  if (range === undefined) return nodes;
  const wanted = new Set(expandNoderange(range, directoryOf(nodes)));
  return nodes.filter((node) => wanted.has(node.name));
}
