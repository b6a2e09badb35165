import { findGeneration } from '../osimage/find.js';
import { manifestOf } from '../osimage/manifest.js';
import { bootNeeds, MEMORY_ATTRIBUTE, memoryOf, shortOfMemory } from '../osimage/size-gate.js';
import type { NodeRecord, Store } from '../store/records.js';
import type { ResolvedTarget } from './target.js';

/** What is to be said of nodes that lack the memory to boot `target`, or whose attribute for it cannot be read: a line each. */
export async function memoryWarnings(
  store: Store,
  nodes: readonly NodeRecord[],
  target: ResolvedTarget,
): Promise<string[]> {
  const told = nodes.filter(({ attributes }) => attributes[MEMORY_ATTRIBUTE] !== undefined);
  if (target.kind !== 'osimage' || told.length === 0) return [];
  const pin = target.generation === null ? '' : `@${target.generation}`;
  const manifest = manifestOf(await findGeneration(store, `${target.osimage}${pin}`));
  const needs = await bootNeeds(manifest, store.blobs);
  const need = target.entry === null ? needs[0] : needs.find(({ label }) => label === target.entry);
  return told.flatMap((node) => {
    if (memoryOf(node) === undefined)
      return `${node.name}: its attribute ${MEMORY_ATTRIBUTE} is ${JSON.stringify(node.attributes[MEMORY_ATTRIBUTE])}, which is no size; write 16G or 16384 (MiB)`;
    const short = need === undefined ? undefined : shortOfMemory(node, need);
    return short === undefined ? [] : `${short}; it may not boot`;
  });
}
