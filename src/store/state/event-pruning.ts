import { sql, type RawBuilder } from 'kysely';
import type { HistoryBounds } from '../records.js';
import type { StateDatabase } from './database.js';
import type { DatabaseKind } from './migrations.js';
import type { Queries } from './tables.js';

const ROWS = 500; // removed in one transaction
const NAMES = 100; // nodes looked at in one

/** What is too old, or too many: ids grow with time, so both are ids. */
interface Surplus {
  readonly old: number; // from here on down, where the row's own time says so too
  readonly many: number; // from here on down, whatever its time
  readonly before: number; // Timestamp
  readonly keep: number;
}

/**
 * Removes what `bounds` leaves no room for, a small transaction at a time, and yields how many rows each one removed. Only
 * rows that go are looked at, so a history of which nothing has to go costs little.
 */
export async function* pruneEvents(database: StateDatabase, bounds: HistoryBounds): AsyncGenerator<number> {
  const surplus = await findSurplus(database, bounds);
  if (surplus === undefined) return;
  yield* inBatches(database, (trx) => removeNobodys(trx, surplus));
  let after = '';
  for (;;) {
    const names = await database.read((db) => namesAfter(db, after));
    const last = names.at(-1);
    if (last === undefined) return;
    yield* inBatches(database, (trx) => removeOf(trx, database.kind, names, surplus));
    after = last;
  }
}

async function* inBatches(
  database: StateDatabase,
  remove: (trx: Queries) => Promise<number>,
): AsyncGenerator<number> {
  for (let removed = ROWS; removed === ROWS;) {
    removed = await database.write(remove, { durable: false });
    yield removed;
  }
}

async function findSurplus(database: StateDatabase, bounds: HistoryBounds): Promise<Surplus | undefined> {
  const { before, most, keep } = bounds;
  return database.read(async (db) => {
    const first = await endOf(db, 'asc');
    const last = await endOf(db, 'desc');
    if (first === undefined || last === undefined) return undefined;
    const old = await lastBefore(db, before, first, last);
    const many = last - most;
    return old < first && many < first ? undefined : { old, many, before, keep };
  });
}

async function endOf(db: Queries, order: 'asc' | 'desc'): Promise<number | undefined> {
  return (await db.selectFrom('event').select('id').orderBy('id', order).limit(1).executeTakeFirst())?.id;
}

/** The id up to which events happened before `before`, by halving; clocks of several servers may blur it a little. */
async function lastBefore(db: Queries, before: number, first: number, last: number): Promise<number> {
  let [low, high] = [first - 1, last];
  while (low < high) {
    const middle = low + Math.ceil((high - low) / 2);
    const row = await db
      .selectFrom('event')
      .select('at')
      .where('id', '<=', middle)
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (row === undefined || row.at < before) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The next names in the history, in the order of their bytes, each found by one step into the index. */
async function namesAfter(db: Queries, after: string): Promise<string[]> {
  const { rows } = await sql<{ node: string }>`
    with recursive name(node) as (
      select min(node) from event where node > ${after}
      union all
      select (select min(event.node) from event where event.node > name.node) from name where name.node is not null
    )
    select node from name where node is not null limit ${NAMES}`.execute(db);
  return rows.map(({ node }) => node);
}

async function removeNobodys(trx: Queries, surplus: Surplus): Promise<number> {
  return removed(
    await sql`
      delete from event where id in (
        select event.id from event where event.node is null and ${isSurplus(surplus)} limit ${ROWS}
      )`.execute(trx),
  );
}

/** Of a node that is known its last `keep` events stay; of one that is gone, none has to. */
async function removeOf(
  trx: Queries,
  kind: DatabaseKind,
  names: readonly string[],
  surplus: Surplus,
): Promise<number> {
  const list = JSON.stringify(names);
  const entries =
    kind === 'sqlite'
      ? sql`(select value as node from json_each(${list})) as entry`
      : sql`(select value collate "C" as node from jsonb_array_elements_text(${list}::jsonb)) as entry`;
  return removed(
    await sql`
      with kept as materialized (
        select entry.node as node,
          case when exists (select 1 from node where node.name = entry.node)
            then (
              select event.id from event where event.node = entry.node
              order by event.id desc limit 1 offset ${surplus.keep - 1}
            )
            else ${Math.max(surplus.old, surplus.many) + 1}
          end as first
        from ${entries}
      )
      delete from event where id in (
        select event.id from kept cross join event
        where event.node = kept.node and event.id < kept.first and ${isSurplus(surplus)} limit ${ROWS}
      )`.execute(trx),
  );
}

function isSurplus({ old, many, before }: Surplus): RawBuilder<boolean> {
  return sql<boolean>`
    event.id <= ${Math.max(old, many)} and (event.id <= ${many} or (event.id <= ${old} and event.at < ${before}))`;
}

function removed({ numAffectedRows }: { readonly numAffectedRows?: bigint }): number {
  return Number(numAffectedRows ?? 0n);
}
