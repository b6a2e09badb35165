import { manifestOf } from '../../osimage/manifest.js';
import type { AssignmentRecord, Store } from '../../store/records.js';
import { describeAssignment } from '../nodeset.js';

/**
 * What a node is set to as xCAT's `nodeset stat` prints it: `netboot rocky9.4-x86_64-compute` for an osimage with xCAT's
 * attributes, `shell`, `boot`, `offline`; other osimages by name.
 */
export function stateText(
  assignment: AssignmentRecord | undefined,
  settings: Readonly<Record<string, string>> = {},
): string {
  if (assignment?.state !== 'osimage') return assignment?.state ?? 'boot';
  if (assignment.destiny !== undefined) return assignment.destiny;
  const { provmethod, osvers, osarch, profile } = settings;
  if ([provmethod, osvers, osarch, profile].every((value) => value !== undefined && value !== '')) {
    return `${provmethod ?? ''} ${osvers ?? ''}-${osarch ?? ''}-${profile ?? ''}`;
  }
  const { chain: _chain, ...now } = assignment;
  return describeAssignment(now);
}

/** The settings of the current generation of each osimage that `assignments` name, by osimage; a removed one has none. */
export async function settingsOf(
  store: Pick<Store, 'osimages'>,
  assignments: Iterable<AssignmentRecord>,
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const names = new Set([...assignments].flatMap(({ osimage }) => osimage ?? []));
  const settings = new Map<string, Readonly<Record<string, string>>>();
  for (const name of names) {
    const osimage = await store.osimages.get(name);
    const record = osimage === undefined ? undefined : await store.osimages.generation(name, osimage.current);
    if (record !== undefined) settings.set(name, manifestOf(record).inputs.settings);
  }
  return settings;
}
