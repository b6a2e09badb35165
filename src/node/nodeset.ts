import { shortId } from '../osimage/manifest.js';
import type {
  AssignmentRecord,
  NewEvent,
  NodeRecord,
  Reassignment,
  Store,
  Timestamp,
} from '../store/records.js';
import { foldNames } from './fold.js';
import type { ResolvedTarget } from './target.js';

/** What one node goes from and to, as `describeAssignment` puts it. */
export interface NodesetChange {
  readonly node: string;
  readonly from: string;
  readonly to: string;
}

/** What a nodeset would do. Nodes that already are as asked keep their assignment, and with it a running install its end. */
export interface NodesetPlan {
  readonly assignments: readonly AssignmentRecord[];
  readonly changes: readonly NodesetChange[];
  readonly unchanged: readonly string[];
}

/** The assignments that set `nodes` to `target`; pure. */
export function planNodeset(
  nodes: readonly NodeRecord[],
  target: ResolvedTarget,
  current: ReadonlyMap<string, AssignmentRecord>,
  now: Timestamp,
): NodesetPlan {
  const assignments: AssignmentRecord[] = [];
  const changes: NodesetChange[] = [];
  const unchanged: string[] = [];
  for (const { name } of nodes) {
    const before = current.get(name);
    const next = nextAssignment(name, target, before, now);
    if (before !== undefined && isSame(before, next)) {
      unchanged.push(name);
      continue;
    }
    assignments.push(next);
    changes.push({ node: name, from: describeAssignment(before), to: describeAssignment(next) });
  }
  return { assignments, changes, unchanged };
}

function nextAssignment(
  node: string,
  target: ResolvedTarget,
  before: AssignmentRecord | undefined,
  now: Timestamp,
): AssignmentRecord {
  // `since` names this assignment to the run it starts, so no two of a node may be equal.
  const since = Math.max(now, (before?.since ?? 0) + 1);
  if (target.kind === 'osimage') {
    const { osimage, generation, entry } = target;
    return { node, state: 'osimage', osimage, generation, entry, since };
  }
  const { osimage = null, generation = null, entry = null } = before ?? {};
  return { node, state: target.kind, osimage, generation, entry, since };
}

function isSame(a: AssignmentRecord, b: AssignmentRecord): boolean {
  if (a.state !== b.state) return false;
  return (
    a.state !== 'osimage' || (a.osimage === b.osimage && a.generation === b.generation && a.entry === b.entry)
  );
}

/** An assignment as `nodeset stat` prints it: `osimage d12@1a2b3c4d5e6f:rescue`, `boot`, `offline`. None is `boot`. */
export function describeAssignment(assignment: AssignmentRecord | undefined): string {
  if (assignment === undefined) return 'boot';
  if (assignment.state !== 'osimage') return assignment.state;
  const pin = assignment.generation === null ? '' : `@${shortId(assignment.generation)}`;
  return `osimage ${assignment.osimage ?? ''}${pin}${assignment.entry === null ? '' : `:${assignment.entry}`}`;
}

/** The plan in a few lines, nodes of the same change folded together: `n[1-4]: boot -> osimage d12`. */
export function summarizePlan(plan: NodesetPlan): string[] {
  const groups = new Map<string, string[]>();
  for (const { node, from, to } of plan.changes) {
    const key = `${from} -> ${to}`;
    groups.set(key, [...(groups.get(key) ?? []), node]);
  }
  const lines = [...groups].map(([change, names]) => `${foldNames(names)}: ${change}`);
  return plan.unchanged.length === 0 ? lines : [...lines, `${foldNames(plan.unchanged)}: unchanged`];
}

/** Makes the plan true, every node or none, and writes it into the nodes' history. */
export async function applyNodeset(
  store: Pick<Store, 'nodes'>,
  plan: NodesetPlan,
  now: Timestamp,
  client: string | null,
): Promise<void> {
  if (plan.assignments.length === 0) return;
  await store.nodes.assign(plan.assignments, nodesetEvents(plan.assignments, now, client));
}

/** What sets `users` of something that is removed to boot from their disks, and tells their history. */
export function bootFromDisk(users: readonly AssignmentRecord[], now: Timestamp): Reassignment {
  const assignments = users.map((user) => ({
    ...user,
    state: 'boot' as const,
    since: Math.max(now, user.since + 1),
  }));
  return { assignments, events: nodesetEvents(assignments, now, null) };
}

function nodesetEvents(
  assignments: readonly AssignmentRecord[],
  now: Timestamp,
  client: string | null,
): NewEvent[] {
  return assignments.map((assignment) => ({
    at: now,
    node: assignment.node,
    stage: 'nodeset',
    detail: describeAssignment(assignment),
    bytes: null,
    ms: null,
    generation: assignment.state === 'osimage' ? assignment.generation : null,
    client,
  }));
}
