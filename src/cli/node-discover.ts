import type { Command } from 'commander';
import { NodeError } from '../node/errors.js';
import { parseMac, parseNode } from '../node/nodes.js';
import type { NodeRecord, Store, StrangerRecord } from '../store/records.js';
import { type Context, UsageError } from './context.js';
import { formatTime, textTable } from './table.js';
import { collectList } from './repeated.js';

/** `node discover`: machines that asked for an address and are no node yet. */
export function registerNodeDiscover(node: Command, context: Context): void {
  node
    .command('discover')
    .description('list the machines that asked DHCP for an address and are no node, and make nodes of them')
    .option('--add <name=mac>', 'add that machine as a node; may be repeated', collectList)
    .addHelpText(
      'after',
      `
They are written down while rackboot.yaml says dhcp.unknown: record; none of them is answered.

Examples:
  rackboot node discover
  rackboot node discover --add n1=52:54:00:12:34:56 --add n2=52:54:00:12:34:57
  rackboot node set n1 --ip 10.77.0.11
`,
    )
    .action(async ({ add = [] }: { add?: readonly string[] }) => {
      const { site, store } = await context.openStore();
      if (add.length > 0) return addNodes(context, store, add);
      const strangers = await store.strangers.list();
      context.print(strangers, () =>
        strangers.length === 0 ? 'no machine that is no node has asked' : tableOf(strangers),
      );
      if (site.config.dhcp.unknown === 'refuse') {
        context.note('none is written down any more: rackboot.yaml says dhcp.unknown: refuse, not record');
      }
    });
}

function tableOf(strangers: readonly StrangerRecord[]): string {
  return textTable(
    ['MAC', 'MACHINE', 'SWITCH PORT', 'UUID', 'LAST SEEN'],
    strangers.map(({ mac, client, port, uuid, lastSeen }) => [
      mac,
      client,
      port ?? '-',
      uuid ?? '-',
      formatTime(lastSeen),
    ]),
  );
}

/** Adds every one of `pairs`, or none. */
async function addNodes(context: Context, store: Store, pairs: readonly string[]): Promise<void> {
  const strangers = new Map((await store.strangers.list()).map((stranger) => [stranger.mac, stranger]));
  const added: NodeRecord[] = [];
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`--add ${pair}: write it as name=mac`);
    const mac = parseMac(pair.slice(at + 1));
    const record = parseNode({
      name: pair.slice(0, at),
      macs: [mac],
      uuid: strangers.get(mac)?.uuid ?? null,
    });
    if ((await store.nodes.get(record.name)) !== undefined) {
      throw new NodeError(
        'NODE_EXISTS',
        `node ${record.name} exists; add the interface to it with: rackboot node set ${record.name} --mac`,
      );
    }
    added.push(record);
  }
  for (const record of added) await store.nodes.put(record);
  context.print(added, () => added.map(({ name, macs }) => `added ${name} (${macs.join(', ')})`).join('\n'));
}
