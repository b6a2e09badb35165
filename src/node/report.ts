import type { AssignmentRecord, EventRecord, Store, Timestamp } from '../store/records.js';
import { codeOf } from '../errors.js';
import { followingAssignment, nodesetEvents } from './nodeset.js';
import type { Run } from './run-token.js';
import { parseStage } from './stages.js';

/** What a node says about itself, from a client that was found to be that node. */
export interface Report {
  readonly node: string;
  readonly stage: string;
  readonly detail: string;
  readonly client: string | null; // address it came from
  /** The run it belongs to, when its URL carried one. */
  readonly run?: Run;
}

/** The longest `detail` that is kept of a report, in characters. */
export const MAX_DETAIL = 200;

/** What a report came to. */
export interface ReportTaken {
  readonly event: EventRecord;
  readonly next: AssignmentRecord | undefined; // what the node is set to from now on, when the report changed it
}

/**
 * Writes a report into the node's history; `installed` also moves its assignment to what follows it (the local disk,
 * or a chain's next step) when it is of the run that is assigned now. Throws NodeError BAD_STAGE.
 */
export async function takeReport(
  store: Pick<Store, 'nodes' | 'events'>,
  report: Report,
  now: Timestamp,
): Promise<ReportTaken> {
  const stage = parseStage(report.stage);
  const assignment = await store.nodes.assignment(report.node);
  // First the assignment, then the history: a crash in between must not leave a node that reinstalls itself.
  const next =
    stage === 'installed' ? await endInstall(store, assignment, report.run?.since, now) : undefined;
  const event = await store.events.append(reportEvent(report, stage, now));
  await tellFollowing(store, next, now);
  return { event, next };
}

/** Why a node's `next` changes nothing. */
export type NoNext = 'not-set' | 'not-booted' | 'stateless';

/**
 * Takes a node's word that it has done what it was booted for (xCAT's `next`): the assignment moves to what follows it,
 * and the history says so. An osimage that is booted and never installed stays, and so does an assignment that the
 * node has not booted since it was made: its word is of an earlier one.
 */
export async function takeNext(
  store: Pick<Store, 'nodes' | 'events' | 'osimages'>,
  report: Omit<Report, 'stage'>,
  now: Timestamp,
): Promise<{ readonly next: AssignmentRecord } | { readonly why: NoNext }> {
  const assignment = await store.nodes.assignment(report.node);
  if (assignment?.state !== 'osimage' || assignment.osimage === null) return { why: 'not-set' };
  if (report.run === undefined && !(await hasBooted(store, assignment))) return { why: 'not-booted' };
  const { destiny, chain = [] } = assignment;
  if (destiny === undefined && chain.length === 0) {
    const osimage = await store.osimages.get(assignment.osimage);
    if (osimage?.family === 'xcat') return { why: 'stateless' };
  }
  const next = await endInstall(store, assignment, report.run?.since ?? assignment.since, now);
  if (next === undefined) return { why: 'not-set' };
  await store.events.append(reportEvent(report, destiny === undefined ? 'installed' : 'finished', now));
  await tellFollowing(store, next, now);
  return { next };
}

/** What only a node that boots its assignment does; one that boots from an ISO asks for no script. */
const BOOTED_BY = ['script', 'answer', 'tree'];

async function hasBooted(store: Pick<Store, 'events'>, { node, since }: AssignmentRecord): Promise<boolean> {
  for (const stage of BOOTED_BY) {
    const event = await store.events.latest(node, stage);
    if (event !== undefined && event.at >= since) return true;
  }
  return false;
}

function reportEvent(report: Omit<Report, 'stage'>, stage: string, now: Timestamp): Omit<EventRecord, 'id'> {
  return {
    at: now,
    node: report.node,
    stage,
    detail: oneLine(report.detail),
    bytes: null,
    ms: null,
    generation: null,
    client: report.client,
  };
}

/** Tells the node's history what it is set to now, unless that is its disk, as everybody expects. */
export async function tellFollowing(
  store: Pick<Store, 'events'>,
  next: AssignmentRecord | undefined,
  now: Timestamp,
): Promise<void> {
  if (next === undefined || next.state === 'boot') return;
  for (const event of nodesetEvents([next], now, null)) await store.events.append(event);
}

/**
 * Moves a node that is set to install to what follows; undefined when it does not. With `since`, only the assignment of
 * that moment is ended: not a newer one, and never one that is not `osimage`.
 */
export async function endInstall(
  store: Pick<Store, 'nodes'>,
  assignment: AssignmentRecord | undefined,
  since: Timestamp | undefined,
  now: Timestamp,
): Promise<AssignmentRecord | undefined> {
  if (assignment?.state !== 'osimage') return undefined;
  if (since !== undefined && since !== assignment.since) return undefined;
  const move = async (next: AssignmentRecord): Promise<AssignmentRecord | undefined> =>
    (await store.nodes.assignIf(assignment.node, assignment.since, next)) ? next : undefined;
  try {
    return await move(followingAssignment(assignment, now));
  } catch (error) {
    if (codeOf(error) !== 'NO_SUCH_OSIMAGE') throw error;
    // The chain's next osimage was removed meanwhile: the node must not install this one again.
    const { chain: _chain, ...ended } = assignment;
    return move(followingAssignment(ended, now));
  }
}

/** `text` without control characters, at most MAX_DETAIL characters. */
export function oneLine(text: string): string {
  const line = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ').trim();
  return line.length <= MAX_DETAIL ? line : `${line.slice(0, MAX_DETAIL - 1)}…`;
}
