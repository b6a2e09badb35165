import type { AssignmentRecord, NodeRecord, Store, Timestamp } from '../store/records.js';
import { requireAnswers } from './answer-check.js';
import { chooseTargets } from './choose.js';
import { EntryReader, loaderWarnings, type LoaderChoices, refuseByLoader } from './loader-check.js';
import { memoryWarnings } from './memory-check.js';
import { planChoices, type NodesetPlan } from './nodeset.js';
import type { ResolvedTarget, TargetChain } from './target.js';

/** What a nodeset would do, what the nodes are set to now, and what is to be said of it, a line each. */
export interface PreparedNodeset {
  readonly plan: NodesetPlan;
  readonly current: ReadonlyMap<string, AssignmentRecord>;
  readonly warnings: readonly string[];
}

/**
 * Finds out what `request` comes to for `nodes` and whether they could do it; changes nothing. Nodes that cannot be set
 * are in the plan with the reason. Throws OsimageError or NodeError for what is wrong for every node.
 */
export async function prepareNodeset(
  store: Store,
  nodes: readonly NodeRecord[],
  request: TargetChain,
  genesis: string,
  now: Timestamp,
  loaders?: LoaderChoices,
): Promise<PreparedNodeset> {
  const names = nodes.map(({ name }) => name);
  const current = new Map((await store.nodes.assignments(names)).map((row) => [row.node, row]));
  const entries = new EntryReader(store);
  const chosen = await chooseTargets(store, nodes, current, request, genesis);
  const choices = await refuseByLoader(chosen, entries);
  const groups = new Map<string, { target: ResolvedTarget; nodes: NodeRecord[] }>();
  for (const choice of choices) {
    if ('refused' in choice) continue;
    const key = JSON.stringify(choice.target);
    const group = groups.get(key) ?? { target: choice.target, nodes: [] };
    group.nodes.push(choice.node);
    groups.set(key, group);
  }
  const warnings: string[] = [...(await loaderWarnings(choices, entries, loaders))];
  for (const { target, nodes: those } of groups.values()) {
    await requireAnswers(store, those, target);
    warnings.push(...(await memoryWarnings(store, those, target)));
  }
  return { plan: planChoices(choices, current, now), current, warnings };
}
