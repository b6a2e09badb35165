import { parseMac, parseUuid } from '../../node/nodes.js';
import type { NodeRecord, NodeState } from '../../store/records.js';

/** What a machine says it can be known by, unchecked. */
export interface MachineIds {
  readonly macs: readonly string[];
  readonly uuid: string | null;
  readonly serial: string | null;
}

/** The node with one of the MACs, else the UUID, else the serial number; undefined when there is none. */
export async function findMachine(nodes: NodeState, ids: MachineIds): Promise<NodeRecord | undefined> {
  for (const text of ids.macs) {
    const mac = readable(parseMac, text);
    const node = mac === undefined ? undefined : await nodes.byMac(mac);
    if (node !== undefined) return node;
  }
  const uuid = ids.uuid === null ? undefined : readable(parseUuid, ids.uuid);
  const byUuid = uuid === undefined ? undefined : await nodes.byUuid(uuid);
  if (byUuid !== undefined) return byUuid;
  return ids.serial === null || ids.serial === '' ? undefined : nodes.bySerial(ids.serial);
}

/** The identifiers that can be read, for a message: they come from the network. */
export function describeMachine(ids: MachineIds): string {
  const macs = [...new Set(ids.macs.flatMap((text) => readable(parseMac, text) ?? []))].slice(0, 4);
  const uuid = ids.uuid === null ? undefined : readable(parseUuid, ids.uuid);
  const known = [...macs.map((mac) => `MAC ${mac}`), ...(uuid === undefined ? [] : [`UUID ${uuid}`])];
  return known.length === 0 ? 'neither MAC nor UUID' : known.join(', ');
}

function readable(parse: (text: string) => string, text: string): string | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
