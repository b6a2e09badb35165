import { RackbootError } from '../errors.js';
import { PowerDesk } from '../node/power/desk.js';
import type { Site } from '../site/site.js';
import type { NodeRecord } from '../store/records.js';

/** Nodes that could not be switched, and why: a line that ends with the mend. */
export interface Unswitchable {
  readonly nodes: readonly NodeRecord[];
  readonly why: string;
}

/**
 * Of the nodes whose attributes say how they are switched, those that could not be: attributes or passwords are missing
 * or wrong. No machine is asked.
 */
export async function unswitchableNodes(
  site: Pick<Site, 'dir' | 'config'>,
  nodes: readonly NodeRecord[],
): Promise<readonly Unswitchable[]> {
  const desk = new PowerDesk(site);
  const found = new Map<string, { nodes: NodeRecord[]; why: string }>();
  for (const node of nodes.filter(isControlled)) {
    try {
      const control = await desk.open(node, AbortSignal.abort());
      await control.close();
    } catch (error) {
      if (!(error instanceof RackbootError)) throw error;
      // The mend may name the node; what is wrong does not.
      const [what = ''] = error.message.split('; ');
      const same = found.get(what);
      if (same === undefined) found.set(what, { nodes: [node], why: error.message });
      else same.nodes.push(node);
    }
  }
  return [...found.values()];
}

/** Whether the attributes of a node say how it is switched. */
export function isControlled({ attributes }: NodeRecord): boolean {
  return attributes['mgt'] !== undefined || attributes['power'] !== undefined;
}
