import type { Command } from 'commander';
import { NodeError } from '../node/errors.js';
import { foldNames } from '../node/fold.js';
import { readCompatNoderange } from '../node/noderange.js';
import { directoryOf, selectNodes } from '../node/site-directory.js';
import { attributeNamed } from '../node/xcat/attributes.js';
import { nodeAttribute } from '../node/xcat/node-object.js';
import type { GroupRecord, NodeRecord } from '../store/records.js';
import type { Context } from './context.js';
import { noderangeHelp } from './noderange-help.js';

interface NodelsOptions {
  readonly compat?: boolean;
  readonly compress?: boolean;
}

/** `nodels`: what a noderange names. */
export function registerNodels(program: Command, context: Context): void {
  program
    .command('nodels')
    .description('print the nodes a noderange names, one a line, or attributes of them')
    .argument('[noderange]', 'which; all without it')
    .argument('[attribute...]', 'attributes, or xCAT’s table.column')
    .option('--compat', 'read the noderange as xCAT does, quirks included')
    .option('--compress', 'print them as one short noderange')
    .addHelpText(
      'after',
      `
Examples:
  rackboot nodels 'rack[1-4]n[01-32],-rack2n05'
  rackboot nodels rack1 --compress
  rackboot nodels 'n[1-4]' nodetype.os mac.mac
  rackboot nodels --compat 1-4
${noderangeHelp}`,
    )
    .action(async (range: string | undefined, wanted: readonly string[], options: NodelsOptions) => {
      const { store } = await context.openStore('read');
      const nodes =
        options.compat === true && range !== undefined
          ? compatNodes(range, await store.nodes.list(), await store.nodes.groups())
          : await selectNodes(store.nodes, range);
      const names = nodes.map(({ name }) => name);
      if (wanted.length > 0) {
        context.print(attributesJson(nodes, wanted), () => attributesText(nodes, wanted));
      } else if (options.compress === true) {
        context.print({ noderange: foldNames(names) }, () => foldNames(names));
      } else {
        context.print(names, () => names.join('\n'));
      }
    });
}

function compatNodes(
  range: string,
  nodes: readonly NodeRecord[],
  groups: readonly GroupRecord[],
): readonly NodeRecord[] {
  const { nodes: names, missed } = readCompatNoderange(range, directoryOf(nodes, groups));
  if (missed.length > 0) {
    throw new NodeError('UNKNOWN_NODES', `Invalid nodes and/or groups in noderange: ${missed.join(',')}`);
  }
  const byName = new Map(nodes.map((node) => [node.name, node]));
  return names.flatMap((name) => byName.get(name) ?? []);
}

function attributesJson(nodes: readonly NodeRecord[], wanted: readonly string[]): unknown {
  return nodes.map((node) => ({
    node: node.name,
    ...Object.fromEntries(wanted.map((name) => [name, nodeAttribute(node, attributeNamed(name))])),
  }));
}

/** As xCAT prints it: `n1: nodetype.os: rocky9.4`, and without the name where only one is asked for. */
function attributesText(nodes: readonly NodeRecord[], wanted: readonly string[]): string {
  return nodes
    .flatMap((node) =>
      wanted.map((name) => {
        const value = nodeAttribute(node, attributeNamed(name));
        return wanted.length === 1 ? `${node.name}: ${value}` : `${node.name}: ${name}: ${value}`;
      }),
    )
    .join('\n');
}
