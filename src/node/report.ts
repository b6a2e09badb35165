import type { AssignmentRecord, EventRecord, Store, Timestamp } from '../store/records.js';
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

/**
 * Writes a report into the node's history; `installed` also moves its assignment to `boot`, when it is of the run that
 * is assigned now. Nothing a node says ever sets it to install. Throws NodeError BAD_STAGE.
 */
export async function takeReport(
  store: Pick<Store, 'nodes' | 'events'>,
  report: Report,
  now: Timestamp,
): Promise<{ readonly event: EventRecord; readonly moved: boolean }> {
  const stage = parseStage(report.stage);
  const assignment = await store.nodes.assignment(report.node);
  // First the assignment, then the history: a crash in between must not leave a node that reinstalls itself.
  const moved = stage === 'installed' && (await endInstall(store, assignment, report.run?.since, now));
  const event = await store.events.append({
    at: now,
    node: report.node,
    stage,
    detail: oneLine(report.detail),
    bytes: null,
    ms: null,
    generation: null,
    client: report.client,
  });
  return { event, moved };
}

/**
 * Moves a node that is set to install to `boot`; says whether it did. With `since`, only the assignment of that moment
 * is ended: not a newer one, and never one that is not `osimage`.
 */
export async function endInstall(
  store: Pick<Store, 'nodes'>,
  assignment: AssignmentRecord | undefined,
  since: Timestamp | undefined,
  now: Timestamp,
): Promise<boolean> {
  if (assignment?.state !== 'osimage') return false;
  if (since !== undefined && since !== assignment.since) return false;
  const next: AssignmentRecord = { ...assignment, state: 'boot', since: Math.max(now, assignment.since + 1) };
  return store.nodes.assignIf(assignment.node, assignment.since, next);
}

/** `text` without control characters, at most MAX_DETAIL characters. */
export function oneLine(text: string): string {
  const line = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ').trim();
  return line.length <= MAX_DETAIL ? line : `${line.slice(0, MAX_DETAIL - 1)}…`;
}
