import { foldNames } from '../node/fold.js';
import type { NodeRecord } from '../store/records.js';
import type { Context } from './context.js';

/** What the help of every command that takes a noderange says of it. */
export const noderangeHelp = `
A noderange is a list of nodes, groups and ranges: n1,n3  n[1-4]  n[01-04,07]  n1-n4  rack1
  all            every node                    rack1,-n3     rack1 without n3
  rack1@ready    the nodes that are in both    arch==x86_64  nodes with that attribute
Quote it: the shell has its own meaning for brackets.`;

/** Says which nodes `range` means before they are acted on, where they are several. */
export function noteExpansion(context: Context, range: string, nodes: readonly NodeRecord[]): void {
  if (nodes.length < 2) return;
  const folded = foldNames(nodes.map(({ name }) => name));
  context.note(`${range} is ${nodes.length} nodes: ${folded}`);
}
