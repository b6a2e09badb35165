import type { Command } from 'commander';
import { NodeError } from '../node/errors.js';
import { foldNames } from '../node/fold.js';
import { applyNodeset, summarizePlan, type NodesetPlan } from '../node/nodeset.js';
import { prepareNodeset } from '../node/prepare.js';
import { selectNodes } from '../node/site-directory.js';
import { parseTargets } from '../node/target.js';
import { settingsOf, stateText } from '../node/xcat/state.js';
import type { NodeRecord, Store } from '../store/records.js';
import type { Context } from './context.js';
import { noteExpansion } from './noderange-help.js';

/** `nodeset`: what each node does at its next network boot. */
export function registerNodeset(program: Command, context: Context): void {
  program
    .command('nodeset')
    .description('set what nodes do at their next network boot, or show it')
    .argument('<noderange>', 'which nodes; see: rackboot nodels --help')
    .argument('<target>', 'osimage=NAME[@GENERATION][:ENTRY], osimage, boot, offline, shell …; or stat')
    .option('--dry-run', 'show what would change and change nothing')
    .addHelpText(
      'after',
      `
Targets:
  osimage=NAME           install or run the osimage, whatever generation is current when the node boots
  osimage=NAME@3         that generation, by number or by 6 and more digits of its id
  osimage=NAME:rescue    another of its boot entries
  osimage                the one its attribute provmethod names, else the one it had last
  boot                   boot from the local disk; an install that reports success sets this by itself
  offline                get an address but no boot file
  shell, standby         boot xCAT’s genesis for that; its osimage is xcat.genesis in rackboot.yaml
  runcmd=CMD             boot genesis to run a command, runimage=URL a script
  A,B,…                  a chain: A now, B when A reports that it is done, and so on
  stat                   print what the nodes are set to

Examples:
  rackboot nodeset n1 osimage=d12
  rackboot nodeset 'rack1,-n3' osimage=d12@2 --dry-run
  rackboot nodeset all boot
  rackboot nodeset n1 runcmd=bmcsetup,osimage=d12
  rackboot nodeset 'n[1-4]' stat`,
    )
    .action(async (range: string, text: string, options: { dryRun?: boolean }) => {
      const request = parseTargets(text);
      const { site, store } = await context.openStore();
      const nodes = await selectNodes(store.nodes, range);
      if (request.kind === 'stat') return printStates(context, store, nodes);
      const now = Date.now();
      const { dhcp, xcat } = site.config;
      const { plan, warnings } = await prepareNodeset(store, nodes, request, xcat.genesis, now, dhcp.loaders);
      for (const line of warnings) context.note(`warning: ${line}`);
      noteExpansion(context, range, nodes);
      if (options.dryRun !== true) await applyNodeset(store, plan, now, null);
      const { changes, unchanged, refused } = plan;
      context.print({ dryRun: options.dryRun === true, changes, unchanged, refused }, () =>
        [...(options.dryRun === true ? ['dry run: nothing is changed'] : []), ...summarizePlan(plan)].join(
          '\n',
        ),
      );
      requireAllSet(context, plan);
    });
}

/** What nodes are set to, as xCAT's `nodeset stat` prints it. */
async function printStates(context: Context, store: Store, nodes: readonly NodeRecord[]): Promise<void> {
  const names = nodes.map(({ name }) => name);
  const current = new Map((await store.nodes.assignments(names)).map((row) => [row.node, row]));
  const settings = await settingsOf(store, current.values());
  const never = { state: 'boot', osimage: null, generation: null, entry: null, since: null };
  context.print(
    names.map((node) => current.get(node) ?? { node, ...never }),
    () =>
      names
        .map((node) => {
          const assignment = current.get(node);
          return `${node}: ${stateText(assignment, settings.get(assignment?.osimage ?? ''))}`;
        })
        .join('\n'),
  );
}

/** Says which nodes were not set, a line for each reason, and fails when there are any. Throws NodeError NODES_NOT_SET. */
function requireAllSet(context: Context, { refused, changes, unchanged }: NodesetPlan): void {
  if (refused.length === 0) return;
  const byReason = new Map<string, string[]>();
  for (const { node, why } of refused) byReason.set(why, [...(byReason.get(why) ?? []), node]);
  for (const [why, nodes] of byReason) context.note(`${foldNames(nodes)}: ${why}`);
  throw new NodeError(
    'NODES_NOT_SET',
    `${refused.length} of ${refused.length + changes.length + unchanged.length} nodes cannot be set to that: ${foldNames(refused.map(({ node }) => node))}; see the lines above`,
  );
}
