import type { Command } from 'commander';
import { requireAnswers } from '../node/answer-check.js';
import { foldNames } from '../node/fold.js';
import { memoryWarnings } from '../node/memory-check.js';
import { applyNodeset, describeAssignment, planNodeset, summarizePlan } from '../node/nodeset.js';
import { selectNodes } from '../node/site-directory.js';
import { parseTarget, resolveTarget } from '../node/target.js';
import type { Context } from './context.js';

/** `nodeset`: what each node does at its next network boot. */
export function registerNodeset(program: Command, context: Context): void {
  program
    .command('nodeset')
    .description('set what nodes do at their next network boot, or show it')
    .argument('<noderange>', 'which nodes; see: rackboot nodels --help')
    .argument('<target>', 'osimage=NAME[@GENERATION][:ENTRY], boot, offline or stat')
    .option('--dry-run', 'show what would change and change nothing')
    .addHelpText(
      'after',
      `
Targets:
  osimage=NAME           install or run the osimage, whatever generation is current when the node boots
  osimage=NAME@3         that generation, by number or by 6 and more digits of its id
  osimage=NAME:rescue    another of its boot entries
  boot                   boot from the local disk; an install that reports success sets this by itself
  offline                get an address but no boot file
  stat                   print what the nodes are set to

Examples:
  rackboot nodeset n1 osimage=d12
  rackboot nodeset 'rack1,-n3' osimage=d12@2 --dry-run
  rackboot nodeset all boot
  rackboot nodeset 'n[1-4]' stat`,
    )
    .action(async (range: string, text: string, options: { dryRun?: boolean }) => {
      const target = parseTarget(text);
      const { store } = await context.openStore();
      const nodes = await selectNodes(store.nodes, range);
      const names = nodes.map((node) => node.name);
      const current = new Map((await store.nodes.assignments(names)).map((row) => [row.node, row]));
      if (target.kind === 'stat') {
        context.print(
          names.map(
            (node) =>
              current.get(node) ?? {
                node,
                state: 'boot',
                osimage: null,
                generation: null,
                entry: null,
                since: null,
              },
          ),
          () => names.map((node) => `${node}: ${describeAssignment(current.get(node))}`).join('\n'),
        );
        return;
      }
      const resolved = await resolveTarget(target, store);
      const now = Date.now();
      const plan = planNodeset(nodes, resolved, current, now);
      await requireAnswers(store, nodes, resolved);
      for (const line of await memoryWarnings(store, nodes, resolved)) context.note(`warning: ${line}`);
      if (target.kind === 'osimage' && names.length > 1)
        context.note(`${range} is ${names.length} nodes: ${foldNames(names)}`);
      if (options.dryRun !== true) await applyNodeset(store, plan, now, null);
      context.print(
        { dryRun: options.dryRun === true, changes: plan.changes, unchanged: plan.unchanged },
        () =>
          [...(options.dryRun === true ? ['dry run: nothing is changed'] : []), ...summarizePlan(plan)].join(
            '\n',
          ),
      );
    });
}
