import { Argument, type Command, Option } from 'commander';
import { PowerDesk } from '../node/power/desk.js';
import { forEachNode } from '../node/power/rack.js';
import { switchNode } from '../node/power/switch.js';
import {
  BOOT_DEVICES,
  type BootDevice,
  parseVerb,
  POWER_VERBS,
  type PowerVerb,
  startsMachine,
} from '../node/power/verb.js';
import { selectNodes } from '../node/site-directory.js';
import { type Context, UsageError } from './context.js';
import { untilStopped } from './image/until-stopped.js';
import { noteExpansion } from './noderange-help.js';
import { finishResults, type PaceOptions, paceOf, showResult, withPaceOptions } from './power-results.js';

interface PowerOptions extends PaceOptions {
  readonly next?: BootDevice;
  readonly uefi?: boolean;
}

/** `power`: switches machines on and off. What they are set to boot stays. */
export function registerPower(program: Command, context: Context): void {
  withPaceOptions(
    program
      .command('power')
      .description('switch machines on and off by their BMC (IPMI, Redfish) or by ssh, or ask them')
      .argument('<noderange>', 'which nodes; see: rackboot nodels --help')
      .addArgument(new Argument('<verb>', 'what to do').choices(POWER_VERBS).argParser(parseVerb))
      .addOption(
        new Option('--next <device>', 'what it boots from then, once: as xCAT’s rsetboot').choices(
          BOOT_DEVICES,
        ),
      )
      .option('--uefi', 'with --next: by UEFI; without it as the node’s attribute firmware says'),
  )
    .addHelpText(
      'after',
      `
Verbs:
  on, off      off at once, as if its plug were drawn
  softoff      asks its system to end
  reset        at once; cycle: off and on again. Both fail for a machine that is off
  boot         reset for one that is on, on for one that is off
  nmi          a diagnostic interrupt
  stat         on or off; state and status are the same

How a node is switched, its attributes say, by xCAT’s names: mgt or power (ipmi, redfish, openbmc, ssh), bmc,
bmcusername. Passwords are in the file that power.credentials in rackboot.yaml names.

Examples:
  rackboot power n1 stat
  rackboot power rack1 on --stagger 0.5
  rackboot power 'n[1-4]' boot --next net --uefi
  rackboot --json power all stat`,
    )
    .action(async (range: string, verb: PowerVerb, options: PowerOptions) => {
      if (options.next !== undefined && !startsMachine(verb))
        throw new UsageError(`--next goes with on, reset, cycle and boot: ${verb} starts no machine`);
      if (options.uefi === true && options.next === undefined)
        throw new UsageError('--uefi says how to boot from the device of --next; give that too');
      const { site, store } = await context.openStore('read');
      const nodes = await selectNodes(store.nodes, range);
      noteExpansion(context, range, nodes);
      const desk = new PowerDesk(site);
      const deed = {
        verb,
        next: options.next,
        firmware: options.uefi === true ? 'uefi' : undefined,
      } as const;
      const pace = paceOf(site.config.power, options, startsMachine(verb));
      const results = await untilStopped(false, (stop) =>
        forEachNode(
          nodes,
          pace,
          (node, signal) => switchNode(desk, node, deed, signal),
          (result) => showResult(context, result),
          stop,
        ),
      );
      finishResults(context, results);
    });
}
