import type { AssignmentRecord, EventRecord, NodeRecord, Timestamp } from '../store/records.js';
import { NodeError } from './errors.js';

/** A stage of a network boot: how far it is, 0 to 1, and what it means. */
export interface Stage {
  readonly name: string;
  readonly progress: number;
  readonly meaning: string;
}

/** The stages rackboot itself knows, in the order a node goes through them. */
export const stages: readonly Stage[] = [
  { name: 'nodeset', progress: 0, meaning: 'assigned; waits for its next network boot' },
  { name: 'dhcp', progress: 0.05, meaning: 'got its address' },
  { name: 'loader', progress: 0.1, meaning: 'fetched its boot loader' },
  { name: 'script', progress: 0.15, meaning: 'fetched its boot script' },
  { name: 'local', progress: 0.15, meaning: 'was told to boot from its local disk' },
  { name: 'kernel', progress: 0.25, meaning: 'fetched the kernel' },
  { name: 'initrd', progress: 0.4, meaning: 'fetched the initial RAM disk' },
  { name: 'answer', progress: 0.5, meaning: 'fetched its answer file' },
  { name: 'tree', progress: 0.6, meaning: 'fetches the install tree' },
  { name: 'netbooting', progress: 0.65, meaning: 'the initial RAM disk fetches the root image' },
  { name: 'installing', progress: 0.7, meaning: 'the installer says that it is at work' },
  { name: 'postbooting', progress: 0.85, meaning: 'its system runs, and its postscripts are at work' },
  { name: 'installed', progress: 1, meaning: 'the installation is done; next boot from local disk' },
  { name: 'booted', progress: 1, meaning: 'its system is up and its postscripts are done' },
  { name: 'failed', progress: 0.7, meaning: 'the installation reported a failure' },
];

const ranks = new Map(stages.map((stage, at) => [stage.name, at]));
const INSTALLING = ranks.get('installing') ?? 0;

/** Where a node is in its boot and install, and what that has cost so far. */
export interface NodeStatus {
  readonly node: string;
  readonly state: AssignmentRecord['state'];
  readonly osimage: string | null; // null while the node boots from local disk and never had one
  readonly generation: string | null; // full id: of what it boots now, else what it is pinned to
  readonly destiny: string | null; // what the osimage is booted for, where it does several things
  readonly stage: string | null; // null: never seen
  readonly progress: number | null; // 0 to 1; null when nothing is under way
  readonly detail: string;
  readonly at: Timestamp | null; // of the last event
  readonly bytes: number; // sent in this boot
  readonly ms: number; // from the first event of this boot to the last
}

/** What an installed node goes through whenever it boots from its disk by way of the network. */
const LOCAL_BOOT = new Set(['dhcp', 'loader', 'local']);

/**
 * The status that `events` (of this node, in any order) come to. A boot begins with its loader or its script; within
 * one, the stage only moves forward, so the installer's own DHCP does not undo it. An installed node stays installed
 * while all it does is boot from its disk.
 */
export function deriveStatus(
  node: Pick<NodeRecord, 'name'>,
  assignment: AssignmentRecord | undefined,
  events: readonly EventRecord[],
): NodeStatus {
  // What happened before the node was set to install belongs to an earlier life.
  const begin = assignment?.state === 'osimage' ? assignment.since : 0;
  const ordered = events.filter((event) => event.at >= begin).sort((a, b) => a.id - b.id);
  let boot = emptyBoot;
  for (const event of ordered) boot = advance(boot, event);
  const state = assignment?.state ?? 'boot';
  const waiting = state === 'osimage' && boot.stage === null;
  const stage = waiting ? 'nodeset' : boot.stage;
  return {
    node: node.name,
    state,
    osimage: assignment?.osimage ?? null,
    generation: boot.generation ?? assignment?.generation ?? null,
    destiny: assignment?.destiny ?? null,
    stage,
    progress: progressOf(state, stage),
    detail: boot.detail,
    at: ordered.at(-1)?.at ?? assignment?.since ?? null,
    bytes: boot.bytes,
    ms: boot.begin === null ? 0 : boot.end - boot.begin,
  };
}

interface Boot {
  readonly stage: string | null;
  readonly rank: number;
  readonly detail: string;
  readonly generation: string | null;
  readonly bytes: number;
  readonly begin: Timestamp | null;
  readonly end: Timestamp;
}

const emptyBoot: Boot = {
  stage: null,
  rank: -1,
  detail: '',
  generation: null,
  bytes: 0,
  begin: null,
  end: 0,
};

function advance(boot: Boot, event: EventRecord): Boot {
  // A free stage stands where `installing` does: the installer's own words for what it is doing.
  const rank = ranks.get(event.stage) ?? INSTALLING;
  const staysInstalled = boot.stage === 'installed' && LOCAL_BOOT.has(event.stage);
  const begins =
    event.stage === 'nodeset' ||
    (event.stage === 'loader' && !staysInstalled) ||
    ((event.stage === 'script' || event.stage === 'local') && !staysInstalled && boot.rank >= rank) ||
    boot.stage === null;
  if (begins) {
    return {
      stage: event.stage,
      rank,
      detail: event.detail,
      generation: event.generation,
      bytes: event.bytes ?? 0,
      begin: event.stage === 'nodeset' ? null : event.at - (event.ms ?? 0),
      end: event.at,
    };
  }
  const moves = rank >= boot.rank;
  return {
    stage: moves ? event.stage : boot.stage,
    rank: moves ? rank : boot.rank,
    detail: moves || (staysInstalled && event.stage === 'local') ? event.detail : boot.detail,
    generation: event.generation ?? boot.generation,
    bytes: boot.bytes + (event.bytes ?? 0),
    begin: boot.begin ?? event.at - (event.ms ?? 0),
    end: event.at,
  };
}

function progressOf(state: AssignmentRecord['state'], stage: string | null): number | null {
  if (stage === null) return null;
  if (stage === 'installed' || stage === 'booted') return 1;
  if (state !== 'osimage') return null;
  return stages[ranks.get(stage) ?? INSTALLING]?.progress ?? null;
}

/** The stages that only rackboot itself sees, which no node may report. */
const OURS = new Set(['nodeset', 'dhcp', 'loader', 'script', 'local', 'kernel', 'initrd', 'answer', 'tree']);

/** `text` as the name of a stage a node may report. Throws NodeError BAD_STAGE. */
export function parseStage(text: string): string {
  if (OURS.has(text) || !/^[a-z0-9][a-z0-9-]{0,31}$/.test(text)) {
    throw new NodeError(
      'BAD_STAGE',
      `stage '${text.slice(0, 40)}': report installing, installed, failed, or a word of your own of a-z, 0-9 and '-', at most 32 long`,
    );
  }
  return text;
}
