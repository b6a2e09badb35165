import type { Command } from 'commander';
import { NodeError } from '../node/errors.js';
import { foldNames } from '../node/fold.js';
import { applyNodeset, summarizePlan, type NodesetPlan } from '../node/nodeset.js';
import { prepareNodeset } from '../node/prepare.js';
import { selectNodes } from '../node/site-directory.js';
import { parseTargets } from '../node/target.js';
import { attributesOf, stateText } from '../node/xcat/state.js';
import type { NodeRecord, Store } from '../store/records.js';
import { type Context, UsageError } from './context.js';
import { noteExpansion } from './noderange-help.js';
import { type PaceOptions, requireAllDone, withPaceOptions } from './power-results.js';

/** `nodeset`: what each node does at its next network boot. */
export function registerNodeset(program: Command, context: Context): void {
  const command = program
    .command('nodeset')
    .description('set what nodes do at their next network boot, or show it')
    .argument('<noderange>', 'which nodes; see: rackboot nodels --help')
    .argument('<target>', 'osimage=NAME[@GENERATION][:ENTRY], osimage, boot, offline, shell …; or stat')
    .option('--dry-run', 'show what would change and change nothing')
    .option('--power', 'then boot those that are set over the network, at once: as xCAT’s rinstall')
    .option('--uefi', 'with --power: by UEFI; without it as the node’s attribute firmware says');
  withPaceOptions(command, 'with --power: ')
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
  rackboot nodeset rack1 osimage=d12 --power --stagger 0.5
  rackboot nodeset 'n[1-4]' stat`,
    )
    .action(async (range: string, text: string, options: NodesetOptions) => {
      const request = parseTargets(text);
      requireBootable(request, options);
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
      const summary = { dryRun: options.dryRun === true, changes, unchanged, refused };
      const showSummary = (value: object): void =>
        context.print(value, () =>
          [...(summary.dryRun ? [dryRunLine(options)] : []), ...summarizePlan(plan)].join('\n'),
        );
      if (options.power !== true || summary.dryRun) {
        showSummary(summary);
        requireAllSet(context, plan);
        return;
      }
      const { bootSetNodes } = await import('./nodeset-power.js');
      if (!context.json) showSummary(summary);
      const power = await bootSetNodes(context, site, nodes, plan, options);
      if (context.json) showSummary({ ...summary, power });
      requireAllSet(context, plan);
      requireAllDone(context, power);
    });
}

function dryRunLine({ power }: NodesetOptions): string {
  return power === true
    ? 'dry run: nothing is changed or booted; without it these nodes boot over the network at once'
    : 'dry run: nothing is changed';
}

interface NodesetOptions extends PaceOptions {
  readonly dryRun?: boolean;
  readonly power?: boolean;
  readonly uefi?: boolean;
}

/** Throws UsageError where `--power` has nothing to boot, and for options that are about it alone. */
function requireBootable(request: ReturnType<typeof parseTargets>, options: NodesetOptions): void {
  const stray = (['uefi', 'parallel', 'stagger', 'timeout'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (options.power !== true) {
    if (stray !== undefined) throw new UsageError(`--${stray} is about --power; leave it out, or add that`);
    return;
  }
  const what = request.kind === 'stat' ? 'stat' : request.first.kind;
  if (what === 'stat' || what === 'offline')
    throw new UsageError(`--power boots nodes over the network, and ${what} gives them nothing to boot`);
}

/** What nodes are set to, as xCAT's `nodeset stat` prints it. */
async function printStates(context: Context, store: Store, nodes: readonly NodeRecord[]): Promise<void> {
  const names = nodes.map(({ name }) => name);
  const current = new Map((await store.nodes.assignments(names)).map((row) => [row.node, row]));
  const attributes = await attributesOf(store, current.values());
  const never = { state: 'boot', osimage: null, generation: null, entry: null, since: null };
  context.print(
    names.map((node) => current.get(node) ?? { node, ...never }),
    () =>
      names
        .map((node) => {
          const assignment = current.get(node);
          return `${node}: ${stateText(assignment, attributes.get(assignment?.osimage ?? ''))}`;
        })
        .join('\n'),
  );
}

/** Says which nodes were not set, a line for each reason, and fails when there are any. Throws NodeError NODES_NOT_SET. */
function requireAllSet(context: Context, { refused, changes, unchanged }: NodesetPlan): void {
  if (refused.length === 0) return;
  const byReason = new Map<string, string[]>();
  for (const { node, why } of refused) {
    const nodes = byReason.get(why);
    if (nodes === undefined) byReason.set(why, [node]);
    else nodes.push(node);
  }
  for (const [why, nodes] of byReason) context.note(`${foldNames(nodes)}: ${why}`);
  throw new NodeError(
    'NODES_NOT_SET',
    `${refused.length} of ${refused.length + changes.length + unchanged.length} nodes cannot be set to that: ${foldNames(refused.map(({ node }) => node))}; see the lines above`,
  );
}
