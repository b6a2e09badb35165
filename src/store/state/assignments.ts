import { StoreError } from '../errors.js';
import type {
  AssignmentRecord,
  AssignmentState,
  AttributeChange,
  ChainStep,
  NewEvent,
  Reassignment,
  Timestamp,
} from '../records.js';
import type { StateDatabase } from './database.js';
import { insertEvents } from './events.js';
import { requireGeneration, requireOsimage } from './generations.js';
import type { DatabaseKind } from './migrations.js';
import { groupsOf, ListStatement } from './rows.js';
import type { AssignmentTable, Queries, Row } from './tables.js';

const states: readonly AssignmentState[] = ['osimage', 'boot', 'offline'];

/** What nodes are set to, in the database. */
export class AssignmentRows {
  protected readonly database: StateDatabase;

  constructor(database: StateDatabase) {
    this.database = database;
  }

  async assignment(node: string): Promise<AssignmentRecord | undefined> {
    return (await this.assignments([node]))[0];
  }

  async assignments(nodes?: readonly string[]): Promise<AssignmentRecord[]> {
    return this.database.read(async (db) => {
      const all = db.selectFrom('assignment').selectAll().orderBy('node');
      if (nodes === undefined) return (await all.execute()).map(assignmentOf);
      const found: AssignmentRecord[] = [];
      for (const group of groupsOf([...new Set(nodes)].sort())) {
        found.push(...(await all.where('node', 'in', group).execute()).map(assignmentOf));
      }
      return found;
    });
  }

  /** Besides what NodeState says: throws StoreError NO_SUCH_NODE, NO_SUCH_OSIMAGE or NO_SUCH_GENERATION. */
  async assign(
    assignments: readonly AssignmentRecord[],
    events: readonly NewEvent[] = [],
    attributes: readonly AttributeChange[] = [],
  ): Promise<void> {
    const { kind } = this.database;
    await this.database.write((trx) => reassign(trx, kind, { assignments, events, attributes }));
  }

  async assignIf(node: string, since: Timestamp, next: AssignmentRecord): Promise<boolean> {
    return this.database.write(async (trx) => {
      const row = await trx
        .selectFrom('assignment')
        .select('node')
        .where('node', '=', node)
        .where('state', '=', 'osimage')
        .where('since', '=', since)
        .executeTakeFirst();
      if (row === undefined) return false;
      await requireTargets(trx, [next]);
      await replace(trx, this.database.kind, [next]);
      return true;
    });
  }
}

/** Makes `change` true in the transaction `trx`. Throws as `assign`. */
export async function reassign(
  trx: Queries,
  kind: DatabaseKind,
  { assignments, events, attributes = [] }: Reassignment,
): Promise<void> {
  await requireTargets(trx, assignments);
  await replace(trx, kind, assignments);
  await insertEvents(trx, kind, events);
  for (const change of attributes) await changeAttribute(trx, change);
}

/** Changes one attribute of a node, if there is such a node. */
export async function changeAttribute(trx: Queries, { node, key, value }: AttributeChange): Promise<void> {
  const row = await trx.selectFrom('node').select('attributes').where('name', '=', node).executeTakeFirst();
  if (row === undefined) return;
  const { [key]: _before, ...others } = JSON.parse(row.attributes) as Record<string, string>;
  const attributes = JSON.stringify(value === '' ? others : { ...others, [key]: value });
  await trx.updateTable('node').set({ attributes }).where('name', '=', node).execute();
}

/** The assignments of nodes that are set to `osimage`, or to its `generation`, by node. */
export async function usersOf(
  trx: Queries,
  osimage: string,
  generation?: string,
): Promise<AssignmentRecord[]> {
  const rows = await trx
    .selectFrom('assignment')
    .selectAll()
    .where('state', '=', 'osimage')
    .where('osimage', '=', osimage)
    .$if(generation !== undefined, (query) => query.where('generation', '=', generation ?? ''))
    .orderBy('node')
    .execute();
  return rows.map(assignmentOf);
}

const replaceAll = new ListStatement<never>(
  ({ rows }) => `
    insert into assignment (node, state, osimage, generation, entry, since, destiny, chain, line)
    select value->>0, value->>1, value->>2, value->>3, value->>4, cast(value->>5 as bigint), value->>6, value->>7,
      value->>8
    from ${rows} where true
    on conflict (node) do update set state = excluded.state, osimage = excluded.osimage,
      generation = excluded.generation, entry = excluded.entry, since = excluded.since,
      destiny = excluded.destiny, chain = excluded.chain, line = excluded.line`,
);

/** Sets what `assignments` say; of several for one node the last. */
async function replace(
  trx: Queries,
  kind: DatabaseKind,
  assignments: readonly AssignmentRecord[],
): Promise<void> {
  const byNode = new Map(assignments.map((next) => [next.node, next]));
  const rows = [...byNode.values()].map((next) => {
    const { node, state, osimage, generation, entry, since, destiny = null, chain = [], line = null } = next;
    const steps = chain.length === 0 ? null : JSON.stringify(chain);
    return [node, state, osimage, generation, entry, since, destiny, steps, line];
  });
  await replaceAll.run(trx, kind, rows);
}

async function requireTargets(trx: Queries, assignments: readonly AssignmentRecord[]): Promise<void> {
  for (const group of groupsOf([...new Set(assignments.map((next) => next.node))])) {
    const rows = await trx.selectFrom('node').select('name').where('name', 'in', group).execute();
    const known = new Set(rows.map((row) => row.name));
    const missing = group.find((name) => !known.has(name));
    if (missing !== undefined) {
      throw new StoreError(
        'NO_SUCH_NODE',
        `node ${missing}: there is none of that name; see: rackboot node ls`,
      );
    }
  }
  const targets = new Map<string, AssignmentRecord>();
  for (const next of assignments) {
    if (next.state === 'osimage') targets.set(JSON.stringify([next.osimage, next.generation]), next);
  }
  for (const { node, osimage, generation } of targets.values()) {
    if (osimage === null)
      throw new StoreError('NO_SUCH_OSIMAGE', `node ${node}: set to no osimage; name one.`);
    if (generation === null) await requireOsimage(trx, osimage);
    else await requireGeneration(trx, osimage, generation);
  }
}

function assignmentOf(row: Row<AssignmentTable>): AssignmentRecord {
  const { node, osimage, generation, entry, since, destiny, chain, line } = row;
  return {
    node,
    state: stateOf(node, row.state),
    osimage,
    generation,
    entry,
    since,
    ...(destiny === null ? {} : { destiny }),
    ...(chain === null ? {} : { chain: JSON.parse(chain) as ChainStep[] }),
    ...(line === null ? {} : { line }),
  };
}

/** The state of `node`'s assignment as the database gave it. */
export function stateOf(node: string, text: string): AssignmentState {
  const state = states.find((known) => known === text);
  if (state === undefined) {
    throw new StoreError(
      'DATABASE_DAMAGED',
      `node ${node}: unknown state '${text}'; set it again with nodeset.`,
    );
  }
  return state;
}
