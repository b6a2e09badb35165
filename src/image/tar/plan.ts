import type { PlacedEntry } from '../archive-index.js';
import { isDirectory, isSymlink } from '../cpio/header.js';
import { canonicalPath } from '../cpio/path.js';
import { contentOf } from '../edit.js';
import type { EditPlan } from '../edit-plan.js';
import type { PlannedEntry } from '../entry-draft.js';

/**
 * `plan` for a tar archive with `entries`. Of a file with several names the first has the data and the others are links
 * to it; a symbolic link has no data; entries that come out as they stand are left alone. A link of a file to itself,
 * which some readers lose the file by, is never written.
 */
export function planTar(entries: readonly PlacedEntry[], plan: EditPlan): EditPlan {
  const places = entries.flatMap((entry, at) => {
    const planned = plan.changed.get(at);
    return planned === null ? [] : [{ at, planned: planned ?? asItStands(entry) }];
  });
  const added = plan.added.map((planned) => ({ at: undefined, planned: withSlash(planned) }));
  const linked = joinNames([...places, ...added].map(({ planned }) => withoutTargetData(planned)));
  const changed = new Map<number, PlannedEntry | null>();
  for (const [at, planned] of plan.changed) if (planned === null) changed.set(at, null);
  places.forEach(({ at }, number) => {
    const [entry, planned] = [entries[at], linked[number]];
    if (entry !== undefined && planned !== undefined && !standsAlready(entry, planned))
      changed.set(at, isSelfLink(planned) ? null : planned);
  });
  return { ...plan, changed, added: linked.slice(places.length) };
}

const NO_DATA: PlannedEntry['data'] = { kind: 'new', content: contentOf(Buffer.alloc(0)) };

function asItStands(entry: PlacedEntry): PlannedEntry {
  const { rawName, header, target } = entry;
  return { rawName, header, data: { kind: 'kept', entry }, ...(target === undefined ? {} : { target }) };
}

/** Names of directories end in a slash, as tar writes them. */
function withSlash(planned: PlannedEntry): PlannedEntry {
  const { rawName, header } = planned;
  return isDirectory(header.mode) && !rawName.endsWith('/')
    ? { ...planned, rawName: `${rawName}/` }
    : planned;
}

function withoutTargetData(planned: PlannedEntry): PlannedEntry {
  if (!isSymlink(planned.header.mode)) return planned;
  const data = planned.data.kind === 'kept' ? planned.data : NO_DATA;
  return { ...planned, header: { ...planned.header, size: 0 }, data };
}

/** `sequence` with the data of each file that has several names at the first of them. */
function joinNames(sequence: readonly PlannedEntry[]): PlannedEntry[] {
  const groups = new Map<number, number[]>();
  sequence.forEach(({ header }, number) => {
    if (header.nlink < 2 || isDirectory(header.mode)) return;
    const members = groups.get(header.ino);
    if (members === undefined) groups.set(header.ino, [number]);
    else members.push(number);
  });
  const joined = [...sequence];
  for (const members of groups.values()) {
    const [first] = members;
    const head = first === undefined ? undefined : sequence[first];
    if (first === undefined || head === undefined) continue;
    const holder =
      members.map((number) => sequence[number]).findLast((one) => (one?.header.size ?? 0) > 0) ?? head;
    const attributes = holder.attributes ?? head.attributes;
    const added = holder.added ?? head.added;
    joined[first] = {
      ...head,
      header: { ...head.header, size: holder.header.size },
      data: holder.data,
      ...(attributes === undefined ? {} : { attributes }),
      ...(added === undefined ? {} : { added }),
    };
    for (const number of members.slice(1)) {
      const member = sequence[number];
      if (member === undefined) continue;
      const { target: _none, ...rest } = member;
      joined[number] = { ...rest, header: { ...rest.header, size: 0 }, data: NO_DATA, link: head.rawName };
    }
  }
  return joined;
}

const isSelfLink = ({ rawName, link }: PlannedEntry): boolean =>
  link !== undefined && canonicalPath(link) === canonicalPath(rawName);

/** Whether writing `planned` would tell nothing that `entry` does not. */
function standsAlready(entry: PlacedEntry, planned: PlannedEntry): boolean {
  const fields = ['mode', 'uid', 'gid', 'mtime', 'size', 'rdevMajor', 'rdevMinor'] as const;
  const links = [entry.tar?.link, planned.link].map((link) =>
    link === undefined ? undefined : canonicalPath(link),
  );
  return (
    links[0] === links[1] &&
    entry.rawName === planned.rawName &&
    entry.target === planned.target &&
    fields.every((field) => entry.header[field] === planned.header[field]) &&
    (planned.link !== undefined ||
      (planned.added === undefined && planned.data.kind === 'kept' && planned.data.entry === entry))
  );
}
