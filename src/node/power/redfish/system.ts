import type { NodeRecord } from '../../../store/records.js';
import { PowerError } from '../errors.js';
import { linkAt, membersOf, textAt } from './body.js';
import type { RedfishClient, Resource } from './client.js';

/** What tells a node's system from the others of one BMC. */
export type SystemHint = Pick<NodeRecord, 'uuid' | 'serial'> & { readonly id: string | undefined };

/**
 * The system that is the node: the only one, else the one of that Id, UUID or serial number. Throws PowerError NO_CONTROL
 * where that does not tell.
 */
export async function findSystem(client: RedfishClient, hint: SystemHint): Promise<Resource> {
  const collection = linkAt(await client.root(), 'Systems');
  const paths = collection === undefined ? [] : membersOf((await client.get(collection)).body);
  const [only, ...more] = paths;
  if (only === undefined)
    throw new PowerError('NO_CONTROL', `${client.where} shows no system; look at the BMC itself`);
  if (more.length === 0 && hint.id === undefined) return client.get(only);
  const ids: string[] = [];
  for (const path of paths) {
    const system = await client.get(path);
    const id = textAt(system.body, 'Id') ?? path.split('/').at(-1) ?? path;
    if (hint.id === undefined ? isNode(system.body, hint) : id === hint.id) return system;
    ids.push(id);
  }
  throw new PowerError(
    'NO_CONTROL',
    hint.id === undefined
      ? `${client.where} has ${ids.length} systems, none with the node's UUID or serial number; set bmcsystem to one of: ${ids.join(', ')}`
      : `${client.where} has no system '${hint.id}'; set bmcsystem to one of: ${ids.join(', ')}`,
  );
}

function isNode(system: unknown, { uuid, serial }: SystemHint): boolean {
  const own = textAt(system, 'UUID')?.toLowerCase();
  return (uuid !== null && own === uuid) || (serial !== null && textAt(system, 'SerialNumber') === serial);
}
