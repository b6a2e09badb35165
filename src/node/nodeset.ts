import { shortId } from '../osimage/manifest.js';
import type {
  AssignmentRecord,
  AttributeChange,
  ChainStep,
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
  readonly attributes: readonly AttributeChange[];
  readonly changes: readonly NodesetChange[];
  readonly unchanged: readonly string[];
  readonly refused: readonly { readonly node: string; readonly why: string }[];
}

/** What one node is to be set to, or why it cannot be. */
export type NodeChoice =
  | {
      readonly node: NodeRecord;
      readonly target: ResolvedTarget;
      readonly chain?: readonly ChainStep[];
      readonly line?: string; // as in AssignmentRecord
    }
  | { readonly node: NodeRecord; readonly refused: string };

/** The assignments that set every one of `nodes` to `target`; pure. */
export function planNodeset(
  nodes: readonly NodeRecord[],
  target: ResolvedTarget,
  current: ReadonlyMap<string, AssignmentRecord>,
  now: Timestamp,
): NodesetPlan {
  return planChoices(
    nodes.map((node) => ({ node, target })),
    current,
    now,
  );
}

/** The assignments that make `choices` true; pure. */
export function planChoices(
  choices: readonly NodeChoice[],
  current: ReadonlyMap<string, AssignmentRecord>,
  now: Timestamp,
): NodesetPlan {
  const assignments: AssignmentRecord[] = [];
  const attributes: AttributeChange[] = [];
  const changes: NodesetChange[] = [];
  const unchanged: string[] = [];
  const refused: { node: string; why: string }[] = [];
  for (const choice of choices) {
    const { name } = choice.node;
    if ('refused' in choice) {
      refused.push({ node: name, why: choice.refused });
      continue;
    }
    const before = current.get(name);
    const next = nextAssignment(choice, before, now);
    attributes.push(...provmethodChange(choice.node, choice.target));
    if (before !== undefined && isSame(before, next)) {
      unchanged.push(name);
      continue;
    }
    assignments.push(next);
    changes.push({ node: name, from: describeAssignment(before), to: describeAssignment(next) });
  }
  return { assignments, attributes, changes, unchanged, refused };
}

/** xCAT's nodetype.provmethod, the osimage a node is set to: kept right where a node has it. */
function provmethodChange({ name, attributes }: NodeRecord, target: ResolvedTarget): AttributeChange[] {
  const before = attributes['provmethod'];
  if (target.kind !== 'osimage' || target.destiny !== undefined) return [];
  if (before === undefined || before === target.osimage) return [];
  return [{ node: name, key: 'provmethod', value: target.osimage }];
}

function nextAssignment(
  choice: Exclude<NodeChoice, { readonly refused: string }>,
  before: AssignmentRecord | undefined,
  now: Timestamp,
): AssignmentRecord {
  const { target, chain: steps = [], line } = choice;
  const node = choice.node.name;
  // `since` names this assignment to the run it starts, so no two of a node may be equal.
  const since = Math.max(now, (before?.since ?? 0) + 1);
  const chain = steps.length === 0 ? {} : { chain: steps };
  if (target.kind === 'osimage') {
    const { osimage, generation, entry, destiny } = target;
    const errand = destiny === undefined ? {} : { destiny };
    const handed = line === undefined ? {} : { line };
    return { node, state: 'osimage', osimage, generation, entry, since, ...errand, ...chain, ...handed };
  }
  return { node, state: target.kind, ...lastOsimage(before), since, ...chain };
}

/** The osimage that a node which boots from its disk had; genesis is none. */
function lastOsimage(
  before: AssignmentRecord | undefined,
): Pick<AssignmentRecord, 'osimage' | 'generation' | 'entry'> {
  const { osimage = null, generation = null, entry = null, destiny } = before ?? {};
  return destiny === undefined
    ? { osimage, generation, entry }
    : { osimage: null, generation: null, entry: null };
}

/** What follows `assignment` once it has done its work: its chain's next step, else the local disk; pure. */
export function followingAssignment(assignment: AssignmentRecord, now: Timestamp): AssignmentRecord {
  const { node, chain = [] } = assignment;
  const [step, ...rest] = chain;
  const since = Math.max(now, assignment.since + 1);
  if (step === undefined) return { node, state: 'boot', ...lastOsimage(assignment), since };
  const { state, osimage, entry, destiny } = step;
  const names = state === 'osimage' ? { osimage, generation: null, entry } : lastOsimage(assignment);
  return {
    node,
    state,
    ...names,
    since,
    ...(destiny === undefined ? {} : { destiny }),
    ...(rest.length === 0 ? {} : { chain: rest }),
  };
}

function isSame(a: AssignmentRecord, b: AssignmentRecord): boolean {
  if (a.state !== b.state || JSON.stringify(a.chain ?? []) !== JSON.stringify(b.chain ?? [])) return false;
  return (
    a.state !== 'osimage' ||
    (a.osimage === b.osimage &&
      a.generation === b.generation &&
      a.entry === b.entry &&
      a.destiny === b.destiny &&
      a.line === b.line)
  );
}

/**
 * An assignment in words: `osimage d12@1a2b3c4d5e6f:rescue`, `shell`, `boot`, `offline`, whether xCAT composed its kernel
 * line, and what comes after it. None is `boot`.
 */
export function describeAssignment(assignment: AssignmentRecord | undefined): string {
  if (assignment === undefined) return 'boot';
  const { generation, line, chain = [] } = assignment;
  const pin = generation === null ? '' : `@${shortId(generation)}`;
  const by = line === undefined ? '' : ', xCAT’s kernel line';
  return [describeStep(assignment, pin) + by, ...chain.map((step) => describeStep(step, ''))].join(', then ');
}

function describeStep({ state, osimage, entry, destiny }: ChainStep, pin: string): string {
  if (destiny !== undefined) return destiny;
  if (state !== 'osimage') return state;
  return `osimage ${osimage ?? ''}${pin}${entry === null ? '' : `:${entry}`}`;
}

/** The plan in a few lines, nodes of the same change folded together: `n[1-4]: boot -> osimage d12`. */
export function summarizePlan(plan: NodesetPlan): string[] {
  const groups = new Map<string, string[]>();
  for (const { node, from, to } of plan.changes) {
    const key = `${from} -> ${to}`;
    const names = groups.get(key);
    if (names === undefined) groups.set(key, [node]);
    else names.push(node);
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
  const { assignments, attributes } = plan;
  if (assignments.length === 0 && attributes.length === 0) return;
  await store.nodes.assign(assignments, nodesetEvents(assignments, now, client), attributes);
}

/** What sets `users` of something that is removed to boot from their disks, and tells their history. */
export function bootFromDisk(users: readonly AssignmentRecord[], now: Timestamp): Reassignment {
  const assignments = users.map((user): AssignmentRecord => ({
    node: user.node,
    state: 'boot',
    ...lastOsimage(user),
    since: Math.max(now, user.since + 1),
  }));
  return { assignments, events: nodesetEvents(assignments, now, null) };
}

/** What the nodes' history says of assignments. */
export function nodesetEvents(
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
