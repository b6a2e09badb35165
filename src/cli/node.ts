import type { Command } from 'commander';
import { NodeError } from '../node/errors.js';
import { foldNames } from '../node/fold.js';
import { LOADER_ATTRIBUTE, requireKnownLoaders, unbootableNodes } from '../node/loader-check.js';
import { isKnowable, parseNode, readNode } from '../node/nodes.js';
import { describeAssignment } from '../node/nodeset.js';
import { listObjects } from '../node/formats/lsdef.js';
import { inNameOrder } from '../node/name-order.js';
import { selectNodes } from '../node/site-directory.js';
import { nodeObject } from '../node/xcat/node-object.js';
import type { AssignmentRecord, NodeRecord, Store } from '../store/records.js';
import { type Context, UsageError } from './context.js';
import { registerNodeDiscover } from './node-discover.js';
import { registerNodeImport } from './node-import.js';
import { noderangeHelp, noteExpansion } from './noderange-help.js';
import { textTable } from './table.js';
import { collectList } from './repeated.js';

interface NodeOptions {
  readonly mac?: string[];
  readonly ip?: string;
  readonly uuid?: string;
  readonly serial?: string;
  readonly group?: string[];
  readonly attr?: Record<string, string>;
}

interface SetOptions extends NodeOptions {
  readonly addGroup?: string[];
  readonly removeGroup?: string[];
}

/** `node add|set|ls|show|rm|import|discover`: the node database. */
export function registerNode(program: Command, context: Context): void {
  const node = program.command('node').description('add nodes, change, list and remove them');

  withNodeOptions(node.command('add'))
    .description('add a node')
    .argument('<name>', 'its host name')
    .addHelpText(
      'after',
      examples(
        'node add n1 --mac 52:54:00:12:34:56 --ip 10.77.0.11 --group rack1',
        'node add n2 --mac 525400123457 --ip 10.77.0.12 --attr console=ttyS0,115200',
      ),
    )
    .action(async (name: string, options: NodeOptions) => {
      const record = parseNode({
        name,
        macs: options.mac ?? [],
        ip: options.ip ?? null,
        uuid: options.uuid ?? null,
        serial: options.serial ?? null,
        groups: options.group ?? [],
        attributes: options.attr ?? {},
      });
      const { site, store } = await context.openStore();
      requireKnownLoaders([record], site.config.dhcp.loaders ?? {});
      if ((await store.nodes.get(record.name)) !== undefined) {
        throw new NodeError(
          'NODE_EXISTS',
          `node ${record.name} exists; change it with: rackboot node set ${record.name}`,
        );
      }
      await store.nodes.put(record);
      context.print(record, () => `added ${record.name}`);
      if (record.ip === null) {
        context.note(
          `${record.name} has no address: DHCP answers it only out of a pool; reserve one with: rackboot node set ${record.name} --ip ADDRESS`,
        );
      }
    });

  withNodeOptions(node.command('set'))
    .description('change nodes; --mac and --group replace what was there')
    .argument('<noderange>', 'one node; or several, for groups and attributes')
    .option('--add-group <group>', 'put into a group; may be repeated', collectList)
    .option('--remove-group <group>', 'take out of a group; may be repeated', collectList)
    .addHelpText(
      'after',
      examples(
        'node set n1 --ip 10.77.0.21 --mac 52:54:00:12:34:99',
        "node set 'n[1-4]' --add-group rack1 --attr disk=/dev/nvme0n1",
        'node set n1 --attr disk=',
      ) +
        '\nAn attribute without a value is taken away, and so is --ip, --uuid or --serial with an empty one.' +
        noderangeHelp,
    )
    .action(async (range: string, options: SetOptions) => {
      const { site, store } = await context.openStore();
      const nodes = await selectNodes(store.nodes, range);
      const own = ['mac', 'ip', 'uuid', 'serial'].filter((key) => key in options);
      if (own.length > 0 && nodes.length > 1) {
        throw new UsageError(
          `--${own[0] ?? ''} can be set for one node only, and '${range}' names ${nodes.length}`,
        );
      }
      const changed = nodes.map((before) => changeNode(before, options));
      if (options.attr?.[LOADER_ATTRIBUTE] !== undefined) {
        requireKnownLoaders(changed, site.config.dhcp.loaders ?? {});
        await requireBootableBy(store, changed);
      }
      noteExpansion(context, range, nodes);
      await store.nodes.putAll(changed);
      context.print(changed, () => `changed ${foldNames(changed.map(({ name }) => name))}`);
    });

  node
    .command('ls')
    .description('list nodes')
    .argument('[noderange]', 'which; all without it')
    .addHelpText('after', examples('node ls', 'node ls rack1', '--json node ls') + noderangeHelp)
    .action(async (range: string | undefined) => {
      const { store } = await context.openStore('read');
      const nodes = inNameOrder(await selectNodes(store.nodes, range), ({ name }) => name);
      const assignments = await assignmentsOf(store, nodes);
      context.print(
        nodes.map((record) => shown(record, assignments.get(record.name))),
        () =>
          nodes.length === 0
            ? 'no node yet; add one with: rackboot node add NAME --mac MAC --ip ADDRESS'
            : textTable(
                ['NODE', 'MAC', 'ADDRESS', 'GROUPS', 'SET TO'],
                nodes.map((record) => [
                  record.name,
                  record.macs[0] ?? '-',
                  record.ip ?? '-',
                  record.groups.join(',') || '-',
                  describeAssignment(assignments.get(record.name)),
                ]),
              ),
      );
    });

  node
    .command('show')
    .description('show everything about nodes')
    .argument('<noderange>', 'which')
    .option('-z, --stanza', 'as a stanza file, which node import and xCAT’s mkdef -z read')
    .addHelpText(
      'after',
      examples('node show n1', "--json node show 'n[1-4]'", 'node show all -z > nodes.stanza') +
        noderangeHelp,
    )
    .action(async (range: string, { stanza }: { stanza?: boolean }) => {
      const { store } = await context.openStore('read');
      const nodes = await selectNodes(store.nodes, range);
      if (stanza === true && !context.json) {
        const objects = nodes.map((node) => ({
          name: node.name,
          type: 'node',
          attributes: nodeObject(node),
        }));
        context.print(objects, () => listObjects(objects, { kind: 'stanza' }));
        return;
      }
      const assignments = await assignmentsOf(store, nodes);
      context.print(
        nodes.map((record) => shown(record, assignments.get(record.name))),
        () => nodes.map((record) => describeNode(record, assignments.get(record.name))).join('\n\n'),
      );
    });

  node
    .command('rm')
    .description('remove nodes, with what they are set to')
    .argument('<noderange>', 'which')
    .addHelpText('after', examples('node rm n1', "node rm 'n[1-4]'") + noderangeHelp)
    .action(async (range: string) => {
      const { store } = await context.openStore();
      const nodes = await selectNodes(store.nodes, range);
      const names = nodes.map((record) => record.name);
      noteExpansion(context, range, nodes);
      await store.nodes.remove(names);
      context.print(names, () => `removed ${foldNames(names)}`);
    });

  registerNodeImport(node, context);
  registerNodeDiscover(node, context);
}

function withNodeOptions(command: Command): Command {
  return command
    .option(
      '--mac <mac>',
      'MAC address of an interface, in any notation; may be repeated, the boot interface first',
      collectList,
    )
    .option('--ip <address>', 'its reserved IPv4 address')
    .option('--uuid <uuid>', 'its SMBIOS UUID')
    .option('--serial <serial>', 'its serial number')
    .option('--group <group>', 'a group it is in; may be repeated', collectList)
    .option(
      '--attr <key=value>',
      'an attribute for templates: node.attributes.key; may be repeated',
      collectPairs,
    );
}

function collectPairs(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--attr ${text}: write it as key=value`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Throws NodeError BAD_ATTRIBUTE when one of `nodes` is set to what the loader that it is given now cannot boot. */
async function requireBootableBy(store: Store, nodes: readonly NodeRecord[]): Promise<void> {
  const [first] = await unbootableNodes(store, nodes);
  if (first !== undefined)
    throw new NodeError(
      'BAD_ATTRIBUTE',
      `node ${first.node}: ${first.why}, or nodeset it to something else first`,
    );
}

function changeNode(before: NodeRecord, options: SetOptions): NodeRecord {
  const groups = new Set([...(options.group ?? before.groups), ...(options.addGroup ?? [])]);
  for (const group of options.removeGroup ?? []) groups.delete(group);
  const attributes = Object.entries({ ...before.attributes, ...options.attr }).filter(
    ([, value]) => value !== '',
  );
  // One that was imported without anything to know it by stays as it is until that is given.
  const parse = isKnowable(before) ? parseNode : readNode;
  return parse({
    name: before.name,
    macs: options.mac ?? before.macs,
    ip: options.ip ?? before.ip,
    uuid: options.uuid ?? before.uuid,
    serial: options.serial ?? before.serial,
    groups: [...groups],
    attributes: Object.fromEntries(attributes),
  });
}

async function assignmentsOf(
  store: Store,
  nodes: readonly NodeRecord[],
): Promise<Map<string, AssignmentRecord>> {
  const rows = await store.nodes.assignments(nodes.map((record) => record.name));
  return new Map(rows.map((row) => [row.node, row]));
}

function shown(record: NodeRecord, assignment: AssignmentRecord | undefined): object {
  return { ...record, assignment: assignment ?? null };
}

function describeNode(record: NodeRecord, assignment: AssignmentRecord | undefined): string {
  const lines: (readonly [string, string])[] = [
    ['mac', record.macs.join(', ')],
    ['address', record.ip ?? ''],
    ['uuid', record.uuid ?? ''],
    ['serial', record.serial ?? ''],
    ['groups', record.groups.join(', ')],
    ['set to', describeAssignment(assignment)],
    ...Object.entries(record.attributes).map(([key, value]) => [`attribute ${key}`, value] as const),
  ];
  const kept = lines.filter(([, value]) => value !== '');
  const width = Math.max(...kept.map(([key]) => key.length));
  return [record.name, ...kept.map(([key, value]) => `  ${key.padEnd(width)}  ${value}`)].join('\n');
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  rackboot ${line}`).join('\n')}\n`;
}
