import { Argument, type Command } from 'commander';
import { PowerDesk } from '../node/power/desk.js';
import {
  changeMedium,
  MEDIUM_VERBS,
  type MediumDeed,
  type MediumVerb,
  parseMediumVerb,
} from '../node/power/medium.js';
import { isoToInsert } from '../node/power/node-iso.js';
import { forEachNode } from '../node/power/rack.js';
import { selectNodes } from '../node/site-directory.js';
import type { NodeRecord } from '../store/records.js';
import { type Context, UsageError } from './context.js';
import { untilStopped } from './image/until-stopped.js';
import { noteExpansion } from './noderange-help.js';
import { finishResults, type PaceOptions, paceOf, showResult, withPaceOptions } from './power-results.js';

interface MediaOptions extends PaceOptions {
  readonly url?: string;
  readonly boot?: boolean;
  readonly uefi?: boolean;
}

/** `media`: the virtual drives of machines. What the machines are set to boot stays. */
export function registerMedia(program: Command, context: Context): void {
  withPaceOptions(
    program
      .command('media')
      .description('insert each node’s ISO into the virtual drive of its BMC (Redfish), or eject it')
      .argument('<noderange>', 'which nodes; see: rackboot nodels --help')
      .addArgument(new Argument('<verb>', 'what to do').choices(MEDIUM_VERBS).argParser(parseMediumVerb))
      .option('--url <url>', 'with insert: another medium than the node’s ISO')
      .option('--boot', 'with insert: boot from it then, once')
      .option('--uefi', 'with --boot: by UEFI; without it as the node’s attribute firmware says'),
  )
    .addHelpText(
      'after',
      `
The BMC fetches the ISO from http.url while it is inserted: rackboot serve must run. It sends the ISO to the node’s own
address and to those in its attribute bmc, while the node is set to an osimage.

Examples:
  rackboot media n1 insert --boot
  rackboot media rack1 stat
  rackboot media rack1 eject`,
    )
    .action(async (range: string, verb: MediumVerb, options: MediaOptions) => {
      const stray = (['url', 'boot', 'uefi'] as const).find((name) => options[name] !== undefined);
      if (verb !== 'insert' && stray !== undefined) throw new UsageError(`--${stray} goes with insert`);
      if (options.url !== undefined && !/^https?:\/\/[^\s]+$/.test(options.url))
        throw new UsageError(`--url takes an http:// or https:// URL, which the BMC can reach`);
      const { site, store } = await context.openStore('read');
      const nodes = await selectNodes(store.nodes, range);
      noteExpansion(context, range, nodes);
      const names = nodes.map(({ name }) => name);
      const assigned = new Map((await store.nodes.assignments(names)).map((row) => [row.node, row]));
      const deedFor = (node: NodeRecord): MediumDeed => {
        if (verb !== 'insert') return { kind: verb };
        const url = options.url ?? isoToInsert(site.config, node, assigned.get(node.name));
        const firmware = options.uefi === true ? 'uefi' : undefined;
        return { kind: 'insert', url, boot: options.boot === true, firmware };
      };
      const desk = new PowerDesk(site);
      const pace = paceOf(site.config.power, options, options.boot === true);
      const results = await untilStopped(false, (stop) =>
        forEachNode(
          nodes,
          pace,
          async (node, signal) => changeMedium(desk, node, deedFor(node), signal),
          (result) => showResult(context, result),
          stop,
        ),
      );
      finishResults(context, results);
    });
}
