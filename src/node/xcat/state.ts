import { manifestOf } from '../../osimage/manifest.js';
import { osimageObject } from '../../osimage/xcat/attributes.js';
import type { AssignmentRecord, Store } from '../../store/records.js';
import { describeAssignment } from '../nodeset.js';

/**
 * What a node is set to as xCAT's `nodeset stat` prints it: `netboot rocky9.4-x86_64-compute` for an osimage with xCAT's
 * attributes, `shell`, `boot`, `offline`; other osimages by name.
 */
export function stateText(
  assignment: AssignmentRecord | undefined,
  attributes: ReadonlyMap<string, string> = new Map(),
): string {
  if (assignment?.state !== 'osimage') return assignment?.state ?? 'boot';
  if (assignment.destiny !== undefined) return assignment.destiny;
  const [provmethod = '', ...words] = ['provmethod', 'osvers', 'osarch', 'profile'].map(
    (name) => attributes.get(name) ?? '',
  );
  if (provmethod !== '' && !words.includes('')) return `${provmethod} ${words.join('-')}`;
  const { chain: _chain, line: _line, ...now } = assignment;
  return describeAssignment(now);
}

/** The attributes, as lsdef shows them, of each osimage that `assignments` name, by osimage; a removed one has none. */
export async function attributesOf(
  store: Pick<Store, 'osimages'>,
  assignments: Iterable<AssignmentRecord>,
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const names = new Set([...assignments].flatMap(({ osimage }) => osimage ?? []));
  const attributes = new Map<string, ReadonlyMap<string, string>>();
  for (const name of names) {
    const osimage = await store.osimages.get(name);
    const record = osimage === undefined ? undefined : await store.osimages.generation(name, osimage.current);
    if (record !== undefined) attributes.set(name, osimageObject(manifestOf(record)));
  }
  return attributes;
}
