import type { NodesetPlan } from '../node/nodeset.js';
import { PowerDesk } from '../node/power/desk.js';
import { forEachNode, type NodeResult } from '../node/power/rack.js';
import { provisionNode } from '../node/power/switch.js';
import type { Site } from '../site/site.js';
import type { NodeRecord } from '../store/records.js';
import type { Context } from './context.js';
import { untilStopped } from './image/until-stopped.js';
import { type PaceOptions, paceOf, showResult } from './power-results.js';

/**
 * Boots over the network, at once, those of `nodes` that `plan` set or found set already; gives back what became of each.
 */
export async function bootSetNodes(
  context: Context,
  site: Site,
  nodes: readonly NodeRecord[],
  plan: NodesetPlan,
  options: PaceOptions & { readonly uefi?: boolean },
): Promise<readonly NodeResult[]> {
  const refused = new Set(plan.refused.map(({ node }) => node));
  const desk = new PowerDesk(site);
  const firmware = options.uefi === true ? 'uefi' : undefined;
  return untilStopped(false, (stop) =>
    forEachNode(
      nodes.filter(({ name }) => !refused.has(name)),
      paceOf(site.config.power, options, true),
      (node, signal) => provisionNode(desk, node, firmware, signal),
      (result) => showResult(context, result),
      stop,
    ),
  );
}
