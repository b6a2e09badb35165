import type { NodeRecord, Store } from '../store/records.js';
import { deriveStatus, type NodeStatus } from './stages.js';

/** A status with what it takes other tables to know. */
export interface FullStatus extends NodeStatus {
  readonly generationNumber: number | null; // within the osimage; null when it is gone
}

/** How many of a node's latest events its status is derived from: a boot and an install make far fewer. */
export const STATUS_EVENTS = 100;

/** The status of each of `nodes`, in their order. */
export async function readStatuses(
  store: Pick<Store, 'nodes' | 'events' | 'osimages'>,
  nodes: readonly NodeRecord[],
): Promise<FullStatus[]> {
  const assignments = new Map(
    (await store.nodes.assignments(nodes.map((node) => node.name))).map((row) => [row.node, row]),
  );
  const currents = new Map((await store.osimages.list()).map((osimage) => [osimage.name, osimage.current]));
  const numbers = new Map<string, ReadonlyMap<string, number>>();
  const numberOf = async (osimage: string, id: string): Promise<number | null> => {
    let known = numbers.get(osimage);
    if (known === undefined) {
      known = new Map((await store.osimages.history(osimage)).map((row) => [row.id, row.number]));
      numbers.set(osimage, known);
    }
    return known.get(id) ?? null;
  };
  const statuses: FullStatus[] = [];
  for (const node of nodes) {
    const status = deriveStatus(
      node,
      assignments.get(node.name),
      await store.events.ofNode(node.name, STATUS_EVENTS),
    );
    const { osimage } = status;
    const next = status.state === 'osimage' && osimage !== null ? (currents.get(osimage) ?? null) : null;
    const generation = status.generation ?? next;
    const generationNumber =
      osimage === null || generation === null ? null : await numberOf(osimage, generation);
    statuses.push({ ...status, generation, generationNumber });
  }
  return statuses;
}
